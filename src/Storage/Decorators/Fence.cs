using Godwit.Storage.Mirror;

namespace Godwit.Storage.Decorators;

/// <summary>Says whether this computer is known to own a disk now: a lease with a deadline, for a generation of the ownership record. Counts what
/// is under way, so that whoever takes the disk over knows when nothing is any more.</summary>
/// <remarks>
/// <para>Without a lease everything passes. Once the deadline has passed, or somebody has asked for it, requests are held, not failed. A renewal lets
/// them go on, as if nothing had been. A revocation fails them and all that come.</para>
/// <para>The deadline is looked at after a request has been counted in. What is inside then runs to its end, so a successor waits until
/// <see cref="HoldAsync"/> has returned, or longer past the deadline than a request can take.</para>
/// <para>Entering and leaving cost two interlocked operations, with a lease a look at the clock, and no allocation. Safe from any thread.</para>
/// </remarks>
public sealed class Fence : IDisposable
{
    private readonly RequestGate _gate = new();
    private readonly Lock _sync = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly string? _path;
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _empty = Task.CompletedTask;
    private bool _isHeld;
    private long _generation;
    private long _deadline = long.MaxValue;
    private volatile string? _revoked;

    /// <summary>Creates the fence; without a lease.</summary>
    /// <param name="time">The clock; <see cref="BootTime.Clock"/>, so that a computer that was asleep notices.</param>
    /// <param name="path">The disk, for error messages.</param>
    public Fence(TimeProvider time, string? path = null)
    {
        _time = time;
        _path = path;
        _timer = time.CreateTimer(static fence => ((Fence)fence!).Expire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Requests are being held.</summary>
    public bool IsHeld
    {
        get
        {
            lock (_sync)
                return _isHeld;
        }
    }

    /// <summary>The generation of the lease; 0 before the first one.</summary>
    public long Generation => Volatile.Read(ref _generation);

    /// <summary>What requests fail with since the lease was revoked; null while it is not.</summary>
    public StorageException? Revocation => _revoked is { } reason ? Revoked(reason) : null;

    /// <summary>Completes when the lease is revoked.</summary>
    public Task WhenRevoked => _lost.Task;

    /// <summary>Lets requests pass from now on until a deadline, also those that are held.</summary>
    /// <param name="generation">What the ownership record says; never falls.</param>
    /// <param name="validFor">How long, from now; above zero.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the generation is lower than one seen before, or the time is not
    /// above zero; <see cref="StorageErrorKind.Closed"/>: revoked. Nothing has changed then.</exception>
    public void Renew(long generation, TimeSpan validFor)
    {
        lock (_sync)
        {
            if (_revoked is { } reason)
                throw Revoked(reason);
            if (generation < _generation)
                throw Invalid($"generation {generation} is older than {_generation}");
            if (validFor <= TimeSpan.Zero)
                throw Invalid("the lease ends before it begins");
            Volatile.Write(ref _generation, generation);
            Volatile.Write(ref _deadline, _time.GetTimestamp() + (long)(validFor.TotalSeconds * _time.TimestampFrequency));
            _timer.Change(validFor, Timeout.InfiniteTimeSpan);
            Open();
        }
    }

    /// <summary>Holds whatever comes, until the next renewal.</summary>
    /// <param name="cancellationToken">Gives up waiting; requests stay held.</param>
    /// <returns>True once no request is under way beneath; false when a renewal came before that.</returns>
    public async Task<bool> HoldAsync(CancellationToken cancellationToken)
    {
        Task empty, released;
        lock (_sync)
        {
            Close();
            (empty, released) = (_empty, _released.Task);
        }

        return await Task.WhenAny(empty, released).WaitAsync(cancellationToken).ConfigureAwait(false) == empty;
    }

    /// <summary>Fails every request from now on, for good, those that are held included. What is under way ends as it does: <see cref="HoldAsync"/> tells when.</summary>
    /// <param name="reason">Why, in words.</param>
    public void Revoke(string reason)
    {
        lock (_sync)
        {
            _revoked ??= reason;
            Open();
        }

        _lost.TrySetResult();
    }

    /// <summary>Counts a request in if it may pass now; <see cref="Exit"/> follows then.</summary>
    public bool TryEnter()
    {
        if (!_gate.TryEnterNow())
            return false;
        // Counted first: who closes the gate after the deadline waits for everybody who has seen it still ahead.
        if (MayPass())
            return true;
        _gate.Exit();
        return false;
    }

    /// <summary>Counts a request in as soon as it may pass; <see cref="Exit"/> follows.</summary>
    /// <param name="cancellationToken">Gives up; the request is not counted then.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Closed"/>: revoked. The request is not counted.</exception>
    public async ValueTask EnterAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_revoked is { } reason)
                throw Revoked(reason);
            if (!_gate.TryEnter())
                await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (MayPass())
                return;
            _gate.Exit();
            Expire();
        }
    }

    /// <summary>Does something that counts as a request, if it may pass now.</summary>
    /// <param name="action">What to do.</param>
    /// <returns>It was done; false when requests are held or fail.</returns>
    public async Task<bool> TryRunAsync(Func<Task> action)
    {
        if (!TryEnter())
            return false;
        try
        {
            await action().ConfigureAwait(false);
            return true;
        }
        finally
        {
            Exit();
        }
    }

    /// <summary>Counts in what outlives the request that began it and is still inside, held or not. <see cref="Exit"/> follows.</summary>
    public void Join() => _ = _gate.TryEnter();

    /// <summary>A request that was counted in has ended.</summary>
    public void Exit() => _gate.Exit();

    /// <summary><see cref="Exit"/> when a request that was sent inside has ended.</summary>
    /// <param name="sent">The request.</param>
    public ValueTask ExitAfterAsync(ValueTask sent) => _gate.ExitAfterAsync(sent);

    /// <summary>What is inside must have ended.</summary>
    public void Dispose() => _timer.Dispose();

    private bool MayPass()
    {
        if (_revoked is not null)
            return false;
        var deadline = Volatile.Read(ref _deadline);
        return deadline == long.MaxValue || _time.GetTimestamp() < deadline;
    }

    /// <summary>Holds requests if the deadline has passed. Called by the timer, which may be late, and by the first request that is.</summary>
    private void Expire()
    {
        lock (_sync)
        {
            var deadline = Volatile.Read(ref _deadline);
            if (_revoked is null && deadline != long.MaxValue && _time.GetTimestamp() >= deadline)
                Close();
        }
    }

    private void Close()
    {
        if (_isHeld)
            return;
        _isHeld = true;
        _empty = _gate.CloseAsync(CancellationToken.None);
    }

    private void Open()
    {
        if (!_isHeld)
            return;
        _isHeld = false;
        _gate.Open();
        _released.SetResult();
        _released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private StorageException Revoked(string reason) =>
        new(StorageErrorKind.Closed, $"this computer does not own the disk any more: {reason}", _path);

    private StorageException Invalid(string reason) => new(StorageErrorKind.InvalidRequest, reason, _path, operation: "lease");
}
