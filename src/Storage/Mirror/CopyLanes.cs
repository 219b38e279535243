using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Files;

namespace Godwit.Storage.Mirror;

/// <summary>Copies or compares several chunks at once: a target at the other end of a link is not kept waiting for the next one.</summary>
/// <remarks>Each lane has its own hold on its chunk and its own memory, allocated once. One call at a time.</remarks>
internal sealed class CopyLanes : IDisposable
{
    private readonly Lane[] _lanes;

    /// <param name="mirror">The mirror to work for.</param>
    /// <param name="source">Its source.</param>
    /// <param name="count">Chunks at once.</param>
    /// <param name="longestChunk">Bytes of the largest chunk.</param>
    public CopyLanes(MirrorDisk mirror, MirrorSource source, int count, int longestChunk)
    {
        _lanes = new Lane[count];
        for (var i = 0; i < count; i++)
        {
            var lease = new ChunkLease(mirror);
            var first = AlignedMemory.Allocate(longestChunk);
            _lanes[i] = new Lane(
                lease,
                new ChunkCopier(mirror, source, lease, first),
                new ChunkComparer(mirror, source, lease, first, AlignedMemory.Allocate(longestChunk)));
        }
    }

    /// <summary>Chunks at once.</summary>
    public int Count => _lanes.Length;

    /// <summary>A hold for what is done while no chunk is.</summary>
    public ChunkLease FirstLease => _lanes[0].Lease;

    /// <summary>Bytes written to the target.</summary>
    public long Copied
    {
        get
        {
            var sum = 0L;
            foreach (var lane in _lanes)
                sum += lane.Copier.Copied;
            return sum;
        }
    }

    /// <summary>Bytes read from the source.</summary>
    public long Read
    {
        get
        {
            var sum = 0L;
            foreach (var lane in _lanes)
                sum += lane.Copier.Read;
            return sum;
        }
    }

    /// <summary>Copies the next marked chunks, one per lane.</summary>
    /// <param name="bitmap">The mirror's own.</param>
    /// <param name="copied">Is marked where a chunk was copied.</param>
    /// <param name="from">Where to look for the first.</param>
    /// <param name="length">Bytes of a chunk, whole granules.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Where to go on: behind what was copied without a gap; -1 when nothing is marked from there on.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<long> CopyAsync(DirtyBitmap bitmap, DirtyBitmap copied, long from, long length, CancellationToken cancellationToken)
    {
        var started = 0;
        for (; started < _lanes.Length; started++)
        {
            var lane = _lanes[started];
            lane.Chunk = bitmap.NextDirty(from, length);
            if (lane.Chunk.IsEmpty)
                break;
            lane.Begin(lane.Copier.CopyAsync(lane.Chunk, cancellationToken));
            from = lane.Chunk.End;
        }

        if (started == 0)
            return -1;
        var failure = await EndAsync(started).ConfigureAwait(false);
        var next = from;
        for (var i = started - 1; i >= 0; i--)
        {
            if (_lanes[i].Finished)
                copied.Set(_lanes[i].Chunk.Offset, _lanes[i].Chunk.Length);
            else
                next = _lanes[i].Chunk.Offset;
        }

        failure?.Throw();
        return next;
    }

    /// <summary>Compares the next marked chunks, one per lane, and unmarks those that are equal.</summary>
    /// <param name="unverified">What is left to compare.</param>
    /// <param name="length">Bytes of a chunk, whole granules.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Bytes looked at, and bytes equal; nothing looked at when nothing is marked.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<(long Seen, long Equal)> CompareAsync(DirtyBitmap unverified, long length, CancellationToken cancellationToken)
    {
        var (started, seen, equal) = (0, 0L, 0L);
        for (var from = 0L; started < _lanes.Length; started++)
        {
            var lane = _lanes[started];
            lane.Chunk = unverified.NextDirty(from, length);
            if (lane.Chunk.IsEmpty)
                break;
            lane.Begin(lane.Comparer.CompareAsync(unverified, lane.Chunk, cancellationToken));
            from = lane.Chunk.End;
            seen += lane.Chunk.Length;
        }

        var failure = await EndAsync(started).ConfigureAwait(false);
        for (var i = 0; i < started; i++)
            equal += _lanes[i].Finished ? _lanes[i].Chunk.Length : 0;
        failure?.Throw();
        return (seen, equal);
    }

    public void Dispose()
    {
        foreach (var lane in _lanes)
            lane.Lease.Dispose();
    }

    /// <summary>Waits for every lane, whatever became of the others: they work in memory that is used again.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ExceptionDispatchInfo?> EndAsync(int started)
    {
        ExceptionDispatchInfo? failure = null;
        for (var i = 0; i < started; i++)
        {
            _lanes[i].Finished = false;
            try
            {
                _lanes[i].Finished = await _lanes[i].EndAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is MirrorSourceException || MirrorDisk.IsTargetError(e))
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        return failure;
    }

    private sealed class Lane(ChunkLease lease, ChunkCopier copier, ChunkComparer comparer)
    {
        private ValueTask<bool> _running;

        public ChunkLease Lease { get; } = lease;

        public ChunkCopier Copier { get; } = copier;

        public ChunkComparer Comparer { get; } = comparer;

        public DirtyRange Chunk { get; set; }

        public bool Finished { get; set; }

        public void Begin(ValueTask<bool> running) => _running = running;

        /// <summary>Once after each <see cref="Begin"/>.</summary>
        public ValueTask<bool> EndAsync() => _running;
    }
}
