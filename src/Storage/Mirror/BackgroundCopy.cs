using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;

namespace Godwit.Storage.Mirror;

/// <summary>
/// Brings a mirror's target after: copies what is marked, then compares both sides, then stays to repair whatever the mirror
/// falls back over.
/// </summary>
/// <remarks>
/// <para>Starts from whatever the bitmap says, so it goes on where an earlier process was killed. Holds the range lock for
/// chunks of up to 1 MiB, one unless <see cref="MirrorOptions.ChunksAtOnce"/> says more, and gives guests their turn in between. Allocates nothing per chunk where both sides
/// answer without waiting.</para>
/// <para>One run per object. <see cref="Progress"/> may be read at any time from any thread.</para>
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The lease's timer is idle before RunAsync, which disposes it at its end.")]
public sealed class BackgroundCopy
{
    private const int LongestChunk = 1 << 20;
    private static readonly TimeSpan FlushInterval = TimeSpan.FromSeconds(5);

    private readonly MirrorDisk _mirror;
    private readonly RateLimit _limit;
    private readonly TimeProvider _time;
    private readonly MirrorCondition _condition;
    private readonly DirtyBitmap _bitmap;
    private readonly DirtyBitmap _unverified;
    private readonly CopyLanes _lanes;
    private readonly CopyPacer _pacer;
    private readonly HoleScan _holes;
    private bool _atRoundStart = true;
    private bool _roundWasSynchronous;
    private bool _comparing;
    private long _cursor;
    private long _leftByLastRound = long.MaxValue;
    private int _roundsWithoutProgress;
    private long _verified;
    private long _toVerify;
    private long _flushedAt;
    private long _copiedAtFlush;

    /// <summary>Creates the copy; it does nothing until <see cref="RunAsync"/>.</summary>
    /// <param name="mirror">The mirror to work for; stays the caller's.</param>
    /// <param name="limit">The rate to stay below; may be changed and shared.</param>
    /// <param name="time">The clock.</param>
    /// <param name="guests">What guests have asked for so far, for the copy to keep out of their way; null: it does not.</param>
    public BackgroundCopy(MirrorDisk mirror, RateLimit limit, TimeProvider time, Func<GuestLoad>? guests = null)
    {
        _mirror = mirror;
        _limit = limit;
        _time = time;
        _condition = mirror.Condition;
        _bitmap = mirror.Bitmap;
        _unverified = DirtyBitmap.InMemory(mirror.Length);
        var source = new MirrorSource(mirror.Source);
        _lanes = new CopyLanes(mirror, source, mirror.Options.ChunksAtOnce, LongestChunk);
        _holes = new HoleScan(mirror, source, _lanes.FirstLease);
        _pacer = new CopyPacer(guests, time);
        _flushedAt = time.GetTimestamp();
    }

    /// <summary>The most bytes under one lock, so that tests see many chunks on a small disk.</summary>
    internal int MostBytesPerChunk { get; init; } = LongestChunk;

    /// <summary>How far it has come.</summary>
    public BackgroundCopyProgress Progress => new(
        _lanes.Copied, _lanes.Read, _bitmap.DirtyBytes, Volatile.Read(ref _verified), Volatile.Read(ref _toVerify));

    /// <summary>The part of the time in which it works; below 1 while it rests for guests.</summary>
    public double Share => _pacer.Share;

    /// <summary>Works until it is cancelled or the mirror has failed; see <see cref="MirrorDisk.State"/> for how far it is.</summary>
    /// <param name="cancellationToken">Ends the copy. The bitmap then says what is left, and the mirror goes on serving. A
    /// request to a hung target is left behind; a target that blocks the thread in the kernel delays the end.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        // Leaves the caller's thread and context: most requests complete synchronously.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            while (_mirror.State != MirrorDiskState.Failed)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await TryStepAsync(cancellationToken).ConfigureAwait(false);

                // To the back of the thread pool's queue: others get their turn even on one core.
                await Task.Yield();
            }
        }
        finally
        {
            _lanes.Dispose();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask TryStepAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _condition.WaitForTargetAsync(cancellationToken).ConfigureAwait(false);
            await WaitForLeaseAsync(cancellationToken).ConfigureAwait(false);
            if (_mirror.State != MirrorDiskState.Failed)
                await StepAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (MirrorSourceException e)
        {
            _condition.Fail(e.Failure);
        }
        catch (StorageException) when (_mirror.Fence?.Revocation is { } revocation)
        {
            _condition.Disown(revocation);
        }
        catch (Exception e) when (MirrorDisk.IsTargetError(e) && !cancellationToken.IsCancellationRequested)
        {
            _condition.TargetFailed(e);
        }
    }

    /// <summary>Each chunk passes the fence again; here nothing has begun whose time is measured.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitForLeaseAsync(CancellationToken cancellationToken)
    {
        if (_mirror.Fence is not { } fence)
            return;
        await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        fence.Exit();
    }

    private ValueTask StepAsync(CancellationToken cancellationToken)
    {
        switch (_mirror.State)
        {
            case MirrorDiskState.InSync:
                return CompareNextAsync(cancellationToken);
            case MirrorDiskState.Verified:
                return WaitAsync(cancellationToken);
            default:
                if (_atRoundStart)
                    return StartRoundAsync(cancellationToken);
                if (_bitmap.DirtyBytes > 0)
                    return CopyNextAsync(cancellationToken);
                return _condition.Synchronous ? BecomeInSyncAsync(cancellationToken) : GoSynchronousAsync(cancellationToken);
        }
    }

    /// <summary>A round goes once over the bitmap. Before it: drop the holes, and see whether rounds still bring anything.</summary>
    private async ValueTask StartRoundAsync(CancellationToken cancellationToken)
    {
        // Guests that always have a write under way keep something marked all the time. But a whole synchronous round has
        // copied everything else, so what is marked now is theirs, and it is gone when they pause for the lock.
        if (_roundWasSynchronous && _condition.Synchronous)
        {
            await BecomeInSyncAsync(cancellationToken).ConfigureAwait(false);
            if (_mirror.State != MirrorDiskState.Copying)
                return;
        }

        if (!_condition.Synchronous)
            await _holes.RunAsync(_bitmap, cancellationToken).ConfigureAwait(false);
        _atRoundStart = false;
        _cursor = 0;
        var left = _bitmap.DirtyBytes;
        _roundsWithoutProgress = left > _leftByLastRound / 4 * 3 ? _roundsWithoutProgress + 1 : 0;
        _leftByLastRound = left;
        var few = left <= _mirror.Options.SynchronousBelow || _roundsWithoutProgress >= _mirror.Options.RoundsWithoutProgress;
        if (few && !_condition.Synchronous && _condition.UntilSynchronous == TimeSpan.Zero)
            await GoSynchronousAsync(cancellationToken).ConfigureAwait(false);
        _roundWasSynchronous = _condition.Synchronous;
    }

    private async ValueTask GoSynchronousAsync(CancellationToken cancellationToken)
    {
        var spared = _condition.UntilSynchronous;
        if (spared > TimeSpan.Zero)
        {
            await Task.Delay(spared, _time, cancellationToken).ConfigureAwait(false);
            return;
        }

        // The long flush now, while guests do not depend on the target; the one when in sync is short then.
        if (await TryFlushAsync(cancellationToken).ConfigureAwait(false))
            _condition.GoSynchronous();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyNextAsync(CancellationToken cancellationToken)
    {
        var begun = _time.GetTimestamp();
        var before = _lanes.Read;
        var next = await _lanes.CopyAsync(_bitmap, _unverified, _cursor, ChunkLength(), cancellationToken).ConfigureAwait(false);
        if (next < 0)
        {
            _atRoundStart = true;
            return;
        }

        _cursor = next;
        await _pacer.RestAsync(begun, cancellationToken).ConfigureAwait(false);
        await _limit.TakeAsync(_lanes.Read - before, cancellationToken).ConfigureAwait(false);
        if (_mirror.Unflushed is not null)
            await FlushNowAndThenAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Keeps small what would have to be copied again if the target forgot it.</summary>
    private async ValueTask FlushNowAndThenAsync(CancellationToken cancellationToken)
    {
        var copied = _lanes.Copied;
        if (copied - _copiedAtFlush < _mirror.Options.FlushEvery && _time.GetElapsedTime(_flushedAt) < FlushInterval)
            return;
        if (copied > _copiedAtFlush)
            await TryFlushAsync(cancellationToken).ConfigureAwait(false);
        _copiedAtFlush = copied;
        _flushedAt = _time.GetTimestamp();
    }

    private async ValueTask BecomeInSyncAsync(CancellationToken cancellationToken)
    {
        if (!await TryFlushAsync(cancellationToken).ConfigureAwait(false))
            return;

        // The whole device: a write that began before the mirror went synchronous may not have marked its range yet.
        using (await _mirror.Locks.AcquireAsync(0, _mirror.Length, cancellationToken).ConfigureAwait(false))
        {
            if (!_condition.TryBecomeInSync(_bitmap))
                return;
        }

        _atRoundStart = true;
        _leftByLastRound = long.MaxValue;
        _roundsWithoutProgress = 0;
        _roundWasSynchronous = false;
        _comparing = false;
    }

    private async ValueTask CompareNextAsync(CancellationToken cancellationToken)
    {
        if (!_comparing)
        {
            await _holes.RunAsync(_unverified, cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref _toVerify, _verified + _unverified.DirtyBytes);
            _comparing = true;
        }

        var begun = _time.GetTimestamp();
        var (seen, equal) = await _lanes.CompareAsync(_unverified, ChunkLength(), cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _verified, _verified + equal);
        if (seen == 0)
        {
            _condition.TryBecomeVerified();
            return;
        }

        await _pacer.RestAsync(begun, cancellationToken).ConfigureAwait(false);
        await _limit.TakeAsync(seen, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<bool> TryFlushAsync(CancellationToken cancellationToken)
    {
        if (_mirror.Fence is { } fence)
            await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await _mirror.TryFlushTargetAsync(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _mirror.Fence?.Exit();
        }
    }

    private async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task changed = _mirror.WaitWhileAsync(MirrorDiskState.Verified, waiting.Token).AsTask();

        // Revoked, the next step fails the mirror.
        await Task.WhenAny(changed, _mirror.Fence?.WhenRevoked ?? changed).ConfigureAwait(false);
        await waiting.CancelAsync().ConfigureAwait(false);
        await changed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private long ChunkLength()
    {
        long granularity = _bitmap.Granularity;
        var fair = _limit.ChunkLength(MostBytesPerChunk * (long)_lanes.Count) / _lanes.Count;
        return Math.Max(granularity, fair / granularity * granularity);
    }
}
