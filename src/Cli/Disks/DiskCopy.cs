using Godwit.Storage;

namespace Godwit.Cli.Disks;

/// <summary>Copies one device onto an empty one of the same size, leaving out what reads as zeroes.</summary>
/// <param name="source">Read only what holds data.</param>
/// <param name="target">Reads as zeroes everywhere.</param>
/// <param name="progress">Told how many bytes of the source's data are done.</param>
internal sealed class DiskCopy(BlockDevice source, BlockDevice target, Action<long> progress)
{
    private const int ChunkBytes = 2 << 20;

    // The unit in which zeroes inside data are left out: small enough to keep a raw file sparse, large enough that
    // writes stay few.
    private const int PieceBytes = 64 << 10;

    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(ChunkBytes, pinned: true);
    private long _done;

    /// <summary>Copies everything and flushes the target.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        for (long offset = 0; offset < source.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await source.GetExtentAsync(offset, source.Length - offset, cancellationToken);
            if (run.Kind == ExtentKind.Data)
                await CopyRunAsync(run, cancellationToken);
            offset = run.End;
        }

        await target.FlushAsync(cancellationToken);
    }

    private async Task CopyRunAsync(Extent run, CancellationToken cancellationToken)
    {
        for (var offset = run.Offset; offset < run.End;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Ends on a piece's border, so that a run that starts in the middle of one gets back into step.
            var length = (int)Math.Min(ChunkBytes - (offset % PieceBytes), run.End - offset);
            await source.ReadAsync(offset, _chunk.AsMemory(0, length), cancellationToken);
            await WriteDataAsync(offset, length, cancellationToken);
            offset += length;
            _done += length;
            progress(_done);
        }
    }

    private async Task WriteDataAsync(long offset, int length, CancellationToken cancellationToken)
    {
        for (var at = 0; at < length;)
        {
            var start = at;
            while (at < length && !IsZero(at, length, offset))
                at += PieceLength(at, length, offset);
            if (at > start)
                await target.WriteAsync(offset + start, _chunk.AsMemory(start, at - start), WriteFlags.None, cancellationToken);
            while (at < length && IsZero(at, length, offset))
                at += PieceLength(at, length, offset);
        }
    }

    private static int PieceLength(int at, int length, long offset) =>
        (int)Math.Min(PieceBytes - ((offset + at) % PieceBytes), length - at);

    private bool IsZero(int at, int length, long offset) =>
        !_chunk.AsSpan(at, PieceLength(at, length, offset)).ContainsAnyExcept((byte)0);
}
