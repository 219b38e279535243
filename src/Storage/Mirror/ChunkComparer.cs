using System.Runtime.CompilerServices;
using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Mirror;

/// <summary>Reads both sides of one chunk back and compares them.</summary>
/// <remarks>One chunk at a time; the buffers are allocated once.</remarks>
internal sealed class ChunkComparer(MirrorDisk mirror, MirrorSource source, ChunkLease lease, Memory<byte> ours, Memory<byte> theirs)
{
    /// <summary>Compares a chunk no longer than the buffers; a difference fails the mirror.</summary>
    /// <param name="unverified">Where the chunk is unmarked when it is equal.</param>
    /// <param name="chunk">Whole granules.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The chunk is equal and was unmarked. When not, the mirror is no longer in sync.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> CompareAsync(DirtyBitmap unverified, DirtyRange chunk, CancellationToken cancellationToken)
    {
        await lease.BeginAsync(chunk.Offset, chunk.Length, cancellationToken).ConfigureAwait(false);
        var equal = 0L;
        bool finished;
        try
        {
            // Asked under the lock: a mirror that has fallen back has marked its difference before giving its lock back.
            if (mirror.State == MirrorDiskState.InSync && await IsEqualAsync(chunk, cancellationToken).ConfigureAwait(false))
                equal = chunk.Length;
        }
        finally
        {
            finished = lease.Finish(unverified, chunk.Offset, equal);
        }

        return finished && equal != 0;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> IsEqualAsync(DirtyRange chunk, CancellationToken cancellationToken)
    {
        for (var at = chunk.Offset; at < chunk.End;)
        {
            var left = await source.GetExtentAsync(at, chunk.End - at, cancellationToken).ConfigureAwait(false);
            var right = await lease.AnswerAsync(
                mirror.Target.GetExtentAsync(at, left.Length, cancellationToken), cancellationToken).ConfigureAwait(false);
            var length = (int)right.Length;
            if (!(left.ReadsAsZeroes && right.ReadsAsZeroes))
            {
                await source.ReadAsync(at, ours[..length], cancellationToken).ConfigureAwait(false);
                await lease.AnswerAsync(
                    mirror.Target.ReadAsync(at, theirs[..length], mirror.Condition.Ended), cancellationToken).ConfigureAwait(false);
                var same = ours.Span[..length].CommonPrefixLength(theirs.Span[..length]);
                if (same != length)
                {
                    mirror.Condition.Fail(new StorageException(
                        StorageErrorKind.Corrupt, "the target does not hold what was copied to it; do not use this storage before it was checked",
                        mirror.Target.Path, at + same, "verify"));
                    return false;
                }
            }

            at += length;
        }

        return true;
    }
}
