using System.Runtime.CompilerServices;
using Godwit.Storage.FileSystems;

namespace Godwit.Storage.Operations;

/// <summary>Compares what a disk holds with what its file systems call free.</summary>
/// <param name="device">The disk.</param>
/// <param name="free">What is free; null when nothing is to be taken for free.</param>
internal sealed class FreeRanges(BlockDevice device, DiskFreeSpace? free)
{
    /// <summary>Runs shorter than this are not worth a hole of their own.</summary>
    public const int MinRun = 64 << 10;

    /// <summary>Holes are whole pages of the host.</summary>
    public const int Page = 4096;

    /// <summary>Whether every byte of a piece that is not zero lies in a free range.</summary>
    /// <param name="offset">Where the piece is on the disk.</param>
    /// <param name="bytes">What it holds.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask<bool> CoverAllButZeroesAsync(long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var end = offset + bytes.Length;
        for (var at = offset; at < end;)
        {
            var run = free is null ? new FreeRun(end, 0) : await free.NextAsync(at, end, cancellationToken).ConfigureAwait(false);
            if (bytes.Span[(int)(at - offset)..(int)(run.Start - offset)].ContainsAnyExcept((byte)0))
                return false;
            at = run.End;
        }

        return true;
    }

    /// <summary>Free runs in a range, long enough and in whole pages, that the file has data for.</summary>
    public async IAsyncEnumerable<FreeRun> FindDataAsync(long offset, long end, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var at = offset; at < end && free is not null;)
        {
            var run = await free.NextAsync(at, end, cancellationToken).ConfigureAwait(false);
            at = run.End;
            var start = (run.Start + Page - 1) & -Page;
            var stop = run.End & -Page;
            while (stop - start >= MinRun)
            {
                var extent = await device.GetExtentAsync(start, stop - start, cancellationToken).ConfigureAwait(false);
                if (!extent.ReadsAsZeroes)
                    yield return new FreeRun(start, extent.Length);
                start = extent.End;
            }
        }
    }
}
