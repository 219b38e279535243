using Godwit.Storage.FileSystems;

namespace Godwit.Cli.Disks;

/// <summary>A partition in what <c>disk compact</c> says.</summary>
/// <param name="Number">As Linux counts; 0 for a file system on the whole disk.</param>
/// <param name="Start">First byte on the disk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="FileSystem">What is in it; left out when that is not known.</param>
/// <param name="Used">What it calls free was given back.</param>
/// <param name="Reason">Why not; left out when it was.</param>
internal sealed record DiskCompactPartition(int Number, long Start, long Length, string? FileSystem, bool Used, string? Reason)
{
    /// <summary>Makes the entry.</summary>
    public static DiskCompactPartition From(PartitionUse use) =>
        new(use.Number, use.Start, use.Length, use.FileSystem, use.Reason is null, use.Reason);
}
