using Godwit.Storage.Bitmaps;
using Godwit.Storage.Locking;

namespace Godwit.Storage.Mirror;

/// <summary>
/// The background copy's hold on one chunk. It loses it when the chunk takes too long: a guest that waits for the chunk must
/// not wait for a hung target. Works even while the copier's thread is stuck inside the target's request.
/// </summary>
/// <remarks>One per copy, used for one chunk after the other; nothing is allocated per chunk. A chunk that was lost stays
/// marked, and counts as late until its request has ended, so that nothing is written to the target before.</remarks>
internal sealed class ChunkLease : IDisposable
{
    private const int Held = 1;
    private const int Ended = 2;
    private const int Lost = 3;

    private readonly MirrorDisk _mirror;
    private readonly ITimer _timer;
    private RangeLock.Holder _holder;
    private Task? _pending;
    private long _begun;
    private int _state = Ended;

    public ChunkLease(MirrorDisk mirror)
    {
        _mirror = mirror;
        _timer = mirror.Time.CreateTimer(
            static state => ((ChunkLease)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Waits until the disk is ours and for the range lock, and starts the clock.</summary>
    /// <exception cref="StorageException">The disk is not ours any more.</exception>
    public async ValueTask BeginAsync(long offset, long length, CancellationToken cancellationToken)
    {
        // The fence first, as guests do: who waits there must not hold a lock.
        if (_mirror.Fence is { } fence)
            await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _holder = await _mirror.Locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _mirror.Fence?.Exit();
            throw;
        }

        _pending = null;
        Volatile.Write(ref _begun, _mirror.Time.GetTimestamp());
        Volatile.Write(ref _state, Held);
        _timer.Change(_mirror.Options.TargetTimeLimit, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Waits for a request to the target, but not past a cancellation.</summary>
    public ValueTask AnswerAsync(ValueTask request, CancellationToken cancellationToken)
    {
        if (request.IsCompleted)
            return request;
        _pending = request.AsTask();
        return new ValueTask(_pending.WaitAsync(cancellationToken));
    }

    /// <summary>Waits for a question to the target, but not past a cancellation.</summary>
    public ValueTask<Extent> AnswerAsync(ValueTask<Extent> request, CancellationToken cancellationToken)
    {
        if (request.IsCompleted)
            return request;
        var task = request.AsTask();
        _pending = task;
        return new ValueTask<Extent>(task.WaitAsync(cancellationToken));
    }

    /// <summary>Ends the hold, and unmarks a range if it is still held.</summary>
    /// <returns>It was still held.</returns>
    public bool Finish(DirtyBitmap bitmap, long offset, long equalLength)
    {
        var held = EndHold(bitmap, offset, equalLength);
        _mirror.Fence?.Exit();
        return held;
    }

    public void Dispose() => _timer.Dispose();

    private bool EndHold(DirtyBitmap bitmap, long offset, long equalLength)
    {
        if (_pending is { IsCompleted: false })
        {
            // Cancelled with a request under way: it may still change the target, so it goes on as a late one.
            Lose();
            _ = _mirror.AwaitLateAsync(_pending, rented: null);
            return false;
        }

        if (Interlocked.CompareExchange(ref _state, Ended, Held) != Held)
        {
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _mirror.Condition.LateEnded();
            return false;
        }

        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        bitmap.Clear(offset, equalLength);
        _holder.Dispose();
        return true;
    }

    private void Lose()
    {
        if (Interlocked.CompareExchange(ref _state, Lost, Held) != Held)
            return;

        // Late first: whoever gets the lock next must see it.
        _mirror.Condition.TargetLate();
        _holder.Dispose();
    }

    private void OnTimer()
    {
        // A callback that was already on its way when the timer was set anew must not hit the next chunk.
        var limit = _mirror.Options.TargetTimeLimit;
        var elapsed = _mirror.Time.GetElapsedTime(Volatile.Read(ref _begun));
        if (elapsed < limit)
            return;
        if (Volatile.Read(ref _state) == Lost && elapsed >= limit + _mirror.Options.GiveUpAfter)
        {
            _mirror.Condition.GiveUpOnTarget();
            return;
        }

        Lose();
        if (Volatile.Read(ref _state) == Lost)
            _timer.Change(_mirror.Options.GiveUpAfter, Timeout.InfiniteTimeSpan);
    }
}
