namespace Godwit.Storage.Operations;

/// <summary>What size a disk is to get.</summary>
public sealed record DiskResizeRequest
{
    /// <summary>The new size in bytes, whole sectors; null to shrink as far as the partition table allows.</summary>
    public long? Size { get; init; }

    /// <summary>Cut partitions, or bytes that are not zero, off.</summary>
    public bool Force { get; init; }
}
