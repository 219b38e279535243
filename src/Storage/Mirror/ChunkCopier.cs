using System.Runtime.CompilerServices;
using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Mirror;

/// <summary>Makes one chunk of the target equal to the source and unmarks it.</summary>
/// <remarks>One chunk at a time; the buffer is allocated once.</remarks>
internal sealed class ChunkCopier(MirrorDisk mirror, MirrorSource source, ChunkLease lease, Memory<byte> buffer)
{
    private bool _changed;
    private long _copied;
    private long _read;

    /// <summary>Bytes written to the target.</summary>
    public long Copied => Volatile.Read(ref _copied);

    /// <summary>Bytes read from the source: what it calls data, the zeroes in it included.</summary>
    public long Read => Volatile.Read(ref _read);

    /// <summary>Copies a marked chunk no longer than the buffer.</summary>
    /// <returns>Both sides are equal there and it was unmarked.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> CopyAsync(DirtyRange chunk, CancellationToken cancellationToken)
    {
        await lease.BeginAsync(chunk.Offset, chunk.Length, cancellationToken).ConfigureAwait(false);
        var equal = 0L;
        bool finished;
        try
        {
            // A late request may lie in this very chunk: its lock was given back when it became late.
            if (mirror.Condition.Late == 0)
            {
                _changed = false;
                await CopyHeldAsync(chunk, cancellationToken).ConfigureAwait(false);
                if (_changed)
                    mirror.Unflushed?.Add(chunk.Offset, chunk.Length);
                equal = chunk.Length;
            }
        }
        finally
        {
            finished = lease.Finish(mirror.Bitmap, chunk.Offset, equal);
        }

        if (equal != 0)
            mirror.Condition.TargetAnswered();
        return finished && equal != 0;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyHeldAsync(DirtyRange chunk, CancellationToken cancellationToken)
    {
        // One question for the usual case, the first pass over a fresh target: zeroes need no writing then.
        var theirs = await lease.AnswerAsync(
            mirror.Target.GetExtentAsync(chunk.Offset, chunk.Length, cancellationToken), cancellationToken).ConfigureAwait(false);
        var blank = theirs.ReadsAsZeroes && theirs.Length == chunk.Length;
        for (var at = chunk.Offset; at < chunk.End;)
        {
            var extent = await source.GetExtentAsync(at, chunk.End - at, cancellationToken).ConfigureAwait(false);
            if (extent.ReadsAsZeroes)
                await ZeroAsync(at, extent.Length, blank, cancellationToken).ConfigureAwait(false);
            else
                await CopyDataAsync(at, (int)extent.Length, blank, cancellationToken).ConfigureAwait(false);
            at = extent.End;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyDataAsync(long offset, int length, bool blank, CancellationToken cancellationToken)
    {
        await source.ReadAsync(offset, buffer[..length], cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _read, _read + length);
        for (var at = 0; at < length;)
        {
            var run = ZeroRuns.Measure(buffer.Span[at..length], out var zero);
            if (zero)
            {
                await ZeroAsync(offset + at, run, blank, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                _changed = true;
                await lease.AnswerAsync(
                    mirror.Target.WriteAsync(offset + at, buffer.Slice(at, run), WriteFlags.None, mirror.Condition.Ended),
                    cancellationToken).ConfigureAwait(false);
                Volatile.Write(ref _copied, _copied + run);
            }

            at += run;
        }
    }

    /// <summary>Zeroes what the target does not already read as zeroes, so that it allocates nothing for zeroes.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ZeroAsync(long offset, long length, bool blank, CancellationToken cancellationToken)
    {
        for (var at = offset; !blank && at < offset + length;)
        {
            var theirs = await lease.AnswerAsync(
                mirror.Target.GetExtentAsync(at, offset + length - at, cancellationToken), cancellationToken).ConfigureAwait(false);
            if (!theirs.ReadsAsZeroes)
            {
                _changed = true;
                await lease.AnswerAsync(
                    mirror.Target.WriteZeroesAsync(at, theirs.Length, WriteFlags.None, mirror.Condition.Ended),
                    cancellationToken).ConfigureAwait(false);
            }

            at = theirs.End;
        }
    }
}
