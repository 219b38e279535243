namespace Godwit.Nbd;

/// <summary>A run of bytes that all may have changed since a point, or all have not.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes, whole sectors.</param>
/// <param name="Changed">They may have changed.</param>
public readonly record struct ChangedRun(long Offset, long Length, bool Changed)
{
    /// <summary>The byte after the last one.</summary>
    public long End => Offset + Length;
}
