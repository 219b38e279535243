using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Mirror;

/// <summary>
/// The state of a mirror and the rules by which it changes: who may declare what, when to retry the target, when to give up.
/// </summary>
/// <remarks>
/// <code>
///            nothing marked, target flushed        compared
///   Copying ------------------------------ InSync ---------- Verified
///      \                                     |                  |
///       `----------- gives up: Failed -------+------------------'
/// </code>
/// From InSync and Verified back to Copying whenever the target fails or is late.
/// <see cref="Synchronous"/> is a mode inside Copying and always on in the two states after it. It may be switched off by
/// anyone at any time, because writes then merely leave their granules dirty.
/// </remarks>
internal sealed class MirrorCondition(MirrorOptions options, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestHoldOff = TimeSpan.FromSeconds(60);
    private const int MostFlushFailures = 3;

    private readonly Lock _sync = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly long _created = time.GetTimestamp();
    private TaskCompletionSource _changed = NewSignal();
    private volatile MirrorDiskState _state;
    private volatile bool _synchronous;
    private volatile bool _troubled;
    private volatile int _late;
    private volatile bool _disposed;
    private StorageException? _failure;
    private StorageException? _trouble;
    private TimeSpan? _failingSince;
    private TimeSpan _retryAt;
    private TimeSpan _retryAfter;
    private TimeSpan _synchronousFrom;
    private TimeSpan _holdOff = TimeSpan.FromSeconds(1);
    private int _flushFailures;
    private int _beingDistrusted;

    public MirrorDiskState State => _state;

    /// <summary>Writes go to both sides where they are equal.</summary>
    public bool Synchronous => _synchronous;

    /// <summary>Target requests that were not waited for and have not ended. While there are any, nothing more is written to
    /// the target: one of them could land on top of it.</summary>
    public int Late => _late;

    /// <summary>Why the mirror has failed, or what it is waiting out.</summary>
    public StorageException? Problem
    {
        get
        {
            lock (_sync)
                return _failure ?? _trouble;
        }
    }

    /// <summary>Cancelled when the mirror has failed or was disposed: requests to the target need no answer any more.</summary>
    public CancellationToken Ended => _ended.Token;

    private TimeSpan Now => time.GetElapsedTime(_created);

    /// <summary>Completes at the next change of anything here. Take it before looking, then look, then await it.</summary>
    public Task NextChangeAsync()
    {
        lock (_sync)
            return _changed.Task;
    }

    /// <summary>Goes back to copying in the background.</summary>
    public void FallBack()
    {
        lock (_sync)
        {
            FallBackLocked();
            Pulse();
        }
    }

    /// <summary>The target answered with an error: fall back, and retry later or give up.</summary>
    public void TargetFailed(Exception error)
    {
        lock (_sync)
        {
            if (_state == MirrorDiskState.Failed)
                return;
            var failure = AsTargetFailure(error);
            Trouble(failure);
            FallBackLocked();
            _failingSince ??= Now;
            if (IsFinal(failure.Kind) || Now - _failingSince >= options.GiveUpAfter)
                FailLocked(failure);
            else if (Now >= _retryAt)
                BackOff();
            Pulse();
        }

        EndIfFailed();
    }

    /// <summary>A flush of the target failed: nothing written to it since the last one can be relied on.</summary>
    public void TargetFlushFailed(Exception error)
    {
        Interlocked.Increment(ref _beingDistrusted);
        TargetFailed(error);
        if (IsWaitedOut(AsTargetFailure(error).Kind))
            return;
        if (Interlocked.Increment(ref _flushFailures) >= MostFlushFailures)
            Fail(AsTargetFailure(error));
    }

    /// <summary>The target was away and is there again, perhaps without what it had not flushed.</summary>
    public void TargetLost()
    {
        Interlocked.Increment(ref _beingDistrusted);
        FallBack();
    }

    /// <summary>Follows <see cref="TargetFlushFailed"/> and <see cref="TargetLost"/>: everything is marked, so the mirror may become in sync again.</summary>
    public void TargetDistrusted() => Interlocked.Decrement(ref _beingDistrusted);

    /// <summary>The target did what it was asked.</summary>
    public void TargetAnswered()
    {
        if (!_troubled)
            return;
        lock (_sync)
        {
            _troubled = false;
            _trouble = null;
            _failingSince = null;
            _retryAfter = TimeSpan.Zero;
        }
    }

    /// <summary>A request to the target is not waited for any longer. <see cref="LateEnded"/> follows when it has ended.</summary>
    public void TargetLate()
    {
        lock (_sync)
        {
            _late++;
            Trouble(new StorageException(
                StorageErrorKind.IoFailed, $"the target has not answered for {options.TargetTimeLimit.TotalSeconds:0.#} s", operation: "mirror"));
            FallBackLocked();
            if (Now >= _synchronousFrom)
            {
                _synchronousFrom = Now + _holdOff;
                _holdOff = Min(_holdOff * 2, LongestHoldOff);
            }

            Pulse();
        }
    }

    /// <summary>A request that was not waited for has ended; the target may be written again once all have.</summary>
    public void LateEnded()
    {
        lock (_sync)
        {
            _late--;
            Pulse();
        }
    }

    /// <summary>The target does not answer at all.</summary>
    public void GiveUpOnTarget() => Fail(new StorageException(
        StorageErrorKind.IoFailed,
        $"the target has not answered for {(options.TargetTimeLimit + options.GiveUpAfter).TotalSeconds:0.#} s", operation: "mirror"));

    /// <summary>Ends the mirror without success. The first reason stays.</summary>
    public void Fail(StorageException failure)
    {
        lock (_sync)
        {
            FailLocked(failure);
            Pulse();
        }

        EndIfFailed();
    }

    /// <summary>Ends the mirror because the disk is not ours any more. What the target was asked for runs to its end, which others wait for.</summary>
    public void Disown(StorageException reason)
    {
        lock (_sync)
        {
            FailLocked(reason);
            Pulse();
        }
    }

    /// <summary>How long the target must be spared before the mirror may go synchronous again.</summary>
    public TimeSpan UntilSynchronous
    {
        get
        {
            lock (_sync)
                return _late > 0 ? options.TargetTimeLimit : Max(_synchronousFrom - Now, TimeSpan.Zero);
        }
    }

    /// <summary>From now on writes go to both sides.</summary>
    public void GoSynchronous()
    {
        lock (_sync)
            _synchronous = _state != MirrorDiskState.Failed && _late == 0 && _failingSince is null;
    }

    /// <summary>Declares both sides equal. The caller holds the range lock on the whole device, so that no write that began
    /// before the mirror went synchronous is still under way.</summary>
    public bool TryBecomeInSync(DirtyBitmap bitmap)
    {
        lock (_sync)
        {
            if (!_synchronous || _late > 0 || Volatile.Read(ref _beingDistrusted) > 0 || _state != MirrorDiskState.Copying || bitmap.DirtyBytes != 0)
                return false;
            _state = MirrorDiskState.InSync;
            Pulse();
            return true;
        }
    }

    /// <summary>Declares both sides equal by comparison, unless the mirror has fallen back meanwhile.</summary>
    public void TryBecomeVerified()
    {
        lock (_sync)
        {
            if (_state != MirrorDiskState.InSync)
                return;
            _state = MirrorDiskState.Verified;
            Pulse();
        }
    }

    /// <summary>Waits until the target may be used: no late request, back-off over. Returns at once when failed.</summary>
    public async ValueTask WaitForTargetAsync(CancellationToken cancellationToken)
    {
        while (_troubled || _late > 0)
        {
            Task changed;
            TimeSpan wait;
            lock (_sync)
            {
                changed = _changed.Task;
                wait = _late > 0 ? Timeout.InfiniteTimeSpan : _retryAt - Now;
            }

            if (_state == MirrorDiskState.Failed || (wait <= TimeSpan.Zero && wait != Timeout.InfiniteTimeSpan))
                return;
            if (wait == Timeout.InfiniteTimeSpan)
                await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
            else
                await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Tells that no answer of the target is needed any more.</summary>
    public void End()
    {
        if (!_disposed)
            _ended.Cancel();
    }

    /// <summary>Late requests still use the token, so with any under way it is left to the garbage collector.</summary>
    public void Dispose()
    {
        if (_late > 0)
            return;
        _disposed = true;
        _ended.Dispose();
    }

    private bool IsWaitedOut(StorageErrorKind kind) => kind == StorageErrorKind.NoSpace && options.WaitsForSpace;

    private bool IsFinal(StorageErrorKind kind) => !IsWaitedOut(kind) && kind is StorageErrorKind.NoSpace or StorageErrorKind.ReadOnly
        or StorageErrorKind.NotFound or StorageErrorKind.AccessDenied or StorageErrorKind.Closed;

    private static StorageException AsTargetFailure(Exception error) => error as StorageException ?? new StorageException(
        error is ObjectDisposedException ? StorageErrorKind.Closed : StorageErrorKind.IoFailed,
        $"the target failed: {error.Message}", operation: "mirror", inner: error);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private void Trouble(StorageException trouble)
    {
        _trouble = trouble;
        _troubled = true;
    }

    private void BackOff()
    {
        _retryAfter = _retryAfter == TimeSpan.Zero ? options.FirstRetryAfter : Min(_retryAfter * 2, LongestRetry);
        _retryAt = Now + _retryAfter;
    }

    private void FallBackLocked()
    {
        _synchronous = false;
        if (_state != MirrorDiskState.Failed)
            _state = MirrorDiskState.Copying;
    }

    private void FailLocked(StorageException failure)
    {
        _failure ??= failure;
        _synchronous = false;
        _state = MirrorDiskState.Failed;
    }

    private void Pulse()
    {
        _changed.TrySetResult();
        _changed = NewSignal();
    }

    // Outside the lock: what is registered on the token runs inside Cancel and may come back here.
    private void EndIfFailed()
    {
        if (_state == MirrorDiskState.Failed)
            End();
    }
}
