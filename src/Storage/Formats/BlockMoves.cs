using Godwit.Storage.Files;

namespace Godwit.Storage.Formats;

/// <summary>Copies blocks to free places of their file and says when the old places are nobody's any more.</summary>
/// <remarks>
/// For each batch: copy; barrier, which makes these copies and the entries of the batch before stable; the places that batch left are
/// punched; only then the new entries. So at any instant every entry that may rule after a power cut points to bytes that are
/// stable. Places that were left are never given to another block. Without room for a copy the batch ends early, so that no more
/// than one block's space is ever needed on top.
/// </remarks>
/// <param name="file">The image.</param>
/// <param name="barrier">Makes every completed change stable.</param>
/// <param name="batchBytes">A batch ends with the block that reaches this.</param>
/// <param name="publish">Writes the new entries of a batch.</param>
internal sealed class BlockMoves(
    IStorageFile file, long batchBytes, Func<ValueTask> barrier, Func<IReadOnlyList<BlockMoves.Move>, ValueTask> publish)
{
    private readonly byte[] _buffer = new byte[1 << 20];
    private readonly List<Move> _batch = [];
    private readonly List<FileRange> _left = [];
    private long _batchBytes;

    /// <summary>A block that goes from one place to another.</summary>
    /// <param name="Owner">The block, or whatever number its entry has.</param>
    /// <param name="From">Where it is.</param>
    /// <param name="To">Where it goes: nobody's, and not overlapping.</param>
    /// <param name="Length">Bytes of the place.</param>
    internal readonly record struct Move(long Owner, long From, long To, long Length);

    /// <summary>Moves a block, now or with the next batch.</summary>
    /// <exception cref="StorageException">NoSpace when there is no room for one block; or the file failed. Every block has its old or
    /// its new place.</exception>
    public async ValueTask AddAsync(Move move, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            await CopyAsync(move, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException full) when (full.Kind == StorageErrorKind.NoSpace && (_batch.Count > 0 || _left.Count > 0))
        {
            await CompleteAsync().ConfigureAwait(false);
            await CopyAsync(move, cancellationToken).ConfigureAwait(false);
        }

        _batch.Add(move);
        _batchBytes += move.Length;
        if (_batchBytes >= batchBytes)
            await PublishAsync().ConfigureAwait(false);
    }

    /// <summary>Finishes what was added: every block has its new place, stable, and the old ones are punched.</summary>
    public async ValueTask CompleteAsync()
    {
        await PublishAsync().ConfigureAwait(false);
        if (_left.Count == 0)
            return;
        await barrier().ConfigureAwait(false);
        await PunchLeftAsync().ConfigureAwait(false);
    }

    private async ValueTask PublishAsync()
    {
        if (_batch.Count == 0)
            return;
        await barrier().ConfigureAwait(false);
        await PunchLeftAsync().ConfigureAwait(false);
        await publish(_batch).ConfigureAwait(false);
        foreach (var move in _batch)
            _left.Add(new FileRange(move.From, move.Length));
        _batch.Clear();
        _batchBytes = 0;
    }

    private async ValueTask PunchLeftAsync()
    {
        foreach (var place in _left)
        {
            try
            {
                await file.PunchHoleAsync(place.Start, Math.Min(place.Length, file.Length - place.Start), CancellationToken.None).ConfigureAwait(false);
            }
            catch (StorageException)
            {
                // Only free space is concerned, and the cut at the end gives it back all the same.
            }
        }

        _left.Clear();
    }

    private async ValueTask CopyAsync(Move move, CancellationToken cancellationToken)
    {
        // The last block of a foreign file may be cut where the disk ends.
        var length = Math.Min(move.Length, file.Length - move.From);
        for (long at = 0; at < length;)
        {
            var run = await file.GetExtentAsync(move.From + at, length - at, cancellationToken).ConfigureAwait(false);
            if (run.ReadsAsZeroes)
            {
                await file.PunchHoleAsync(move.To + at, run.Length, cancellationToken).ConfigureAwait(false);
                at += run.Length;
                continue;
            }

            var part = _buffer.AsMemory(0, (int)Math.Min(run.Length, _buffer.Length));
            await file.ReadAsync(move.From + at, part, cancellationToken).ConfigureAwait(false);
            await file.WriteAsync(move.To + at, part, cancellationToken).ConfigureAwait(false);
            at += part.Length;
        }

        if (length < move.Length)
            await file.PunchHoleAsync(move.To + length, move.Length - length, cancellationToken).ConfigureAwait(false);
    }
}
