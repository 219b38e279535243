using System.Runtime.CompilerServices;
using Godwit.Storage.Mirror;

namespace Godwit.Storage.Decorators;

/// <summary>Lets requests through only while this computer is known to own the disk: a lease with a deadline, for a generation of the ownership record.</summary>
/// <remarks>
/// <para>Without a lease everything passes. Once the deadline has passed, or somebody has asked for it, requests are held, not failed: writes because
/// another owner may have begun to write, reads because they would show a guest what is no longer so, flushes because they write. A renewal lets them go
/// on, as if nothing had been. A revocation fails them and all that come.</para>
/// <para>The deadline is looked at after a request has been counted in. What is inside then runs to its end, so a successor waits until
/// <see cref="HoldAsync"/> has returned, or longer past the deadline than a request can take. What the page cache holds is not stopped by this: a disk
/// that another computer may take over has to be opened around it.</para>
/// <para>Costs two interlocked operations a request, with a lease a look at the clock, and no allocation. Safe from any thread.</para>
/// </remarks>
public sealed class FencedDisk : DelegatingBlockDevice
{
    private readonly RequestGate _gate = new();
    private readonly Lock _sync = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _empty = Task.CompletedTask;
    private bool _isHeld;
    private long _generation;
    private long _deadline = long.MaxValue;
    private volatile string? _revoked;

    /// <summary>Creates the device; without a lease.</summary>
    /// <param name="inner">The device behind; owned from now on.</param>
    /// <param name="time">The clock; <see cref="BootTime.Clock"/>, so that a computer that was asleep notices.</param>
    public FencedDisk(BlockDevice inner, TimeProvider time)
        : base(inner)
    {
        _time = time;
        _timer = time.CreateTimer(static disk => ((FencedDisk)disk!).Expire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        if (!TryEnter())
            return 0;
        try
        {
            return Inner.TryMoveToPipe(offset, length, pipe);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (!TryEnter())
            return false;
        try
        {
            return Inner.TryMoveFromPipe(offset, length, pipe);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Read(offset, buffer), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Write(offset, buffer, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => PassAsync(DiskRequest.Flush, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Trim(offset, length), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Zero(offset, length, flags), cancellationToken);

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await Inner.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await Inner.ResizeAsync(length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private ValueTask PassAsync(in DiskRequest request, CancellationToken cancellationToken)
    {
        if (!TryEnter())
            return QueueAsync(request, cancellationToken);
        ValueTask sent;
        try
        {
            sent = request.SendAsync(Inner, cancellationToken);
        }
        catch
        {
            _gate.Exit();
            throw;
        }

        return _gate.ExitAfterAsync(sent);
    }

    private async ValueTask QueueAsync(DiskRequest request, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await request.SendAsync(Inner, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Counts the request in if it may pass now.</summary>
    private bool TryEnter()
    {
        if (!_gate.TryEnterNow())
            return false;
        // Counted first: who closes the gate after the deadline waits for everybody who has seen it still ahead.
        if (MayPass())
            return true;
        _gate.Exit();
        return false;
    }

    private async ValueTask EnterAsync(CancellationToken cancellationToken)
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
        new(StorageErrorKind.Closed, $"this computer does not own the disk any more: {reason}", Path);

    private StorageException Invalid(string reason) => new(StorageErrorKind.InvalidRequest, reason, Path, operation: "lease");
}
