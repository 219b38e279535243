using Godwit.Storage.FileSystems;

namespace Godwit.Storage.Operations;

/// <summary>Compares what a disk holds with what its file systems call free.</summary>
/// <param name="free">What is free; null when nothing is to be taken for free.</param>
internal sealed class FreeRanges(DiskFreeSpace? free)
{
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
}
