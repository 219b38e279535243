using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Mirror;

/// <summary>Unmarks what needs no look at the bytes: where both sides say of themselves that they read as zeroes.</summary>
internal sealed class HoleScan(MirrorDisk mirror, MirrorSource source, ChunkLease lease)
{
    private const long LongestStep = 256L << 20;

    /// <summary>Goes over all marked ranges of a bitmap: the mirror's own, or the one of what is left to compare.</summary>
    public async ValueTask RunAsync(DirtyBitmap bitmap, CancellationToken cancellationToken)
    {
        long granularity = bitmap.Granularity;
        var run = bitmap.NextDirty(0, LongestStep);
        while (!run.IsEmpty)
        {
            // A first look without the lock: most of what is marked is data, and nobody needs to wait for that answer.
            var extent = await source.GetExtentAsync(run.Offset, run.Length, cancellationToken).ConfigureAwait(false);
            var from = extent.End;
            if (extent.ReadsAsZeroes)
            {
                from = await ClearAsync(bitmap, run, cancellationToken).ConfigureAwait(false);
                await Task.Yield();
            }

            // At least one granule on; the one with the first data byte in it stays marked.
            run = bitmap.NextDirty(Math.Max(from / granularity, (run.Offset / granularity) + 1) * granularity, LongestStep);
        }
    }

    private async ValueTask<long> ClearAsync(DirtyBitmap bitmap, DirtyRange run, CancellationToken cancellationToken)
    {
        await lease.BeginAsync(run.Offset, run.Length, cancellationToken).ConfigureAwait(false);
        var from = run.Offset;
        var whole = from;
        try
        {
            from = await FindDataAsync(run, cancellationToken).ConfigureAwait(false);
            whole = from == mirror.Length ? from : from / bitmap.Granularity * bitmap.Granularity;
        }
        finally
        {
            lease.Finish(bitmap, run.Offset, whole - run.Offset);
        }

        return from;
    }

    private async ValueTask<long> FindDataAsync(DirtyRange range, CancellationToken cancellationToken)
    {
        var at = range.Offset;
        while (at < range.End)
        {
            var ours = await source.GetExtentAsync(at, range.End - at, cancellationToken).ConfigureAwait(false);
            if (!ours.ReadsAsZeroes)
                return at;
            while (at < ours.End)
            {
                var theirs = await lease.AnswerAsync(
                    mirror.Target.GetExtentAsync(at, ours.End - at, cancellationToken), cancellationToken).ConfigureAwait(false);
                if (!theirs.ReadsAsZeroes)
                    return at;
                at = theirs.End;
            }
        }

        return at;
    }
}
