using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>What <c>disk compact</c> says.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="DryRun">Nothing was changed; the numbers say what would be.</param>
/// <param name="LengthBefore">Bytes of the file before.</param>
/// <param name="LengthAfter">Bytes of the file now.</param>
/// <param name="AllocatedBefore">Bytes of disk space it took before.</param>
/// <param name="AllocatedAfter">Bytes of disk space it takes now.</param>
/// <param name="BlockSize">Bytes per block; left out where only holes were made.</param>
/// <param name="ZeroBytes">Given back because they read as zeroes.</param>
/// <param name="UnusedBytes">Given back because the guest's file systems do not use them.</param>
/// <param name="UnusedInsideBytes">The same inside blocks that stay: holes, the file does not get shorter by them.</param>
/// <param name="ParentBytes">Given back because the parent reads the same there.</param>
/// <param name="ZeroInsideBytes">Zeroes inside blocks that stay: holes as well.</param>
/// <param name="EmptyBytes">Bytes of the file that held nothing before.</param>
/// <param name="BlocksMoved">Blocks moved to the front of the file.</param>
/// <param name="Partitions">Whether each partition's file system was asked, or why not.</param>
/// <param name="Notes">What else a person should know.</param>
internal sealed record DiskCompactReport(
    string Path, bool DryRun, long LengthBefore, long LengthAfter, long AllocatedBefore, long AllocatedAfter, int? BlockSize, long ZeroBytes,
    long UnusedBytes, long UnusedInsideBytes, long ParentBytes, long ZeroInsideBytes, long EmptyBytes, long BlocksMoved, IReadOnlyList<DiskCompactPartition> Partitions,
    IReadOnlyList<string> Notes)
{
    /// <summary>Makes the report.</summary>
    public static DiskCompactReport From(string path, bool dryRun, CompactResult result) => new(
        path, dryRun, result.LengthBefore, result.LengthAfter, result.AllocatedBefore, result.AllocatedAfter, result.BlockSize, result.Zero,
        result.Unused, result.Inside, result.Equal, result.ZeroInside, result.Empty, result.BlocksMoved, [.. result.Partitions.Select(DiskCompactPartition.From)], result.Notes);
}
