namespace Godwit.Storage.Bitmaps;

/// <summary>A run of bytes that may differ between the two sides of a mirror.</summary>
/// <param name="Offset">First byte; a multiple of the bitmap's granularity.</param>
/// <param name="Length">Bytes; whole granules except at the end of the device. Zero when there is none.</param>
public readonly record struct DirtyRange(long Offset, long Length)
{
    /// <summary>The byte after the last one.</summary>
    public long End => Offset + Length;

    /// <summary>Nothing was found.</summary>
    public bool IsEmpty => Length == 0;
}
