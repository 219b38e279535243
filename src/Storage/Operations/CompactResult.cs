using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>What a compaction did, or would do.</summary>
/// <param name="Format">The image's format.</param>
/// <param name="LengthBefore">Bytes of the image file before.</param>
/// <param name="LengthAfter">Bytes after; for a dry run about.</param>
/// <param name="BlockSize">Bytes per block; null where only ranges of the file were given back.</param>
/// <param name="Zero">Bytes given back because they read as zeroes: whole blocks, or ranges where there are no blocks.</param>
/// <param name="Unused">Bytes given back because file systems do not use them (and the rest of the block was zero).</param>
/// <param name="Inside">Bytes that file systems do not use, given back to the host inside blocks that stay; the file does not get shorter by them.</param>
/// <param name="Empty">Bytes of the file that held nothing before: gaps, and places reserved for blocks that are not there.</param>
/// <param name="BlocksMoved">Blocks that were moved to the front; 0 for a dry run.</param>
/// <param name="Partitions">For each partition whether its file system was asked, or why not.</param>
/// <param name="Notes">What else a person should know.</param>
public sealed record CompactResult(
    ImageFormat Format, long LengthBefore, long LengthAfter, int? BlockSize, long Zero, long Unused, long Inside, long Empty, long BlocksMoved,
    IReadOnlyList<PartitionUse> Partitions, IReadOnlyList<string> Notes)
{
    /// <summary>Bytes of blocks given back because the parent reads the same there.</summary>
    public long Equal { get; init; }

    /// <summary>Bytes of zeroes given back to the host inside blocks that stay; the file does not get shorter by them.</summary>
    public long ZeroInside { get; init; }

    /// <summary>Bytes of disk space the file took before.</summary>
    public long AllocatedBefore { get; init; }

    /// <summary>Bytes of disk space it takes now.</summary>
    public long AllocatedAfter { get; init; }
}
