using System.Runtime.CompilerServices;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Mirror;

namespace Godwit.Nbd.Remote;

/// <summary>An export of another host over several connections, which are made again by themselves when they break.</summary>
/// <remarks>
/// <para>While the link is broken every request fails with <see cref="StorageErrorKind.Unreachable"/> at once. A request that failed so may
/// or may not have been carried out, but it cannot be carried out any more once a later request is let through: the server ends what
/// earlier connections had asked for before it takes new ones (<see cref="NbdClientOptions.WriterEpoch"/>).</para>
/// <para>Between finding the export again and the first request, <see cref="FoundAgain"/> is awaited. The other host may have lost what was not
/// flushed; whoever needs to know which ranges these are keeps account of them.</para>
/// <para>An export that comes back with another size or sector ends it: <see cref="StorageErrorKind.Closed"/> from then on. Thread-safe.</para>
/// </remarks>
public sealed class RemoteDisk : BlockDevice, IForgetfulTarget
{
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    private readonly RemoteDiskOptions _options;
    private readonly RenewedIdentity _identity;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _loss = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Link? _link;
    private volatile Link? _lost;
    private volatile StorageException? _trouble;
    private Task? _mending;
    private long _epoch;
    private long _linkedAt;
    private volatile bool _isAnother;
    private bool _closed;

    private RemoteDisk(RemoteDiskOptions options, RenewedIdentity identity, Link? link, long length, DiskCapabilities capabilities)
        : base(length, capabilities)
    {
        _options = options;
        _identity = identity;
        _link = link;
        _linkedAt = options.Time.GetTimestamp();
        _epoch = options.FirstEpoch;
        Path = options.Path;
    }

    /// <inheritdoc/>
    public override string? Path { get; }

    /// <inheritdoc/>
    public Func<Task>? FoundAgain
    {
        get;
        set
        {
            field = value;

            // A disk that was expected is not used before somebody is there to be told.
            lock (_lock)
                _mending ??= MendAsync();
        }
    }

    /// <summary>Why requests fail now; null while the link stands.</summary>
    public StorageException? Trouble => _link is null ? _trouble : null;

    /// <summary>Makes the link for the first time.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">No server there, no such export, not the right certificate, or a server that cannot end
    /// earlier connections.</exception>
    public static async Task<RemoteDisk> ConnectAsync(RemoteDiskOptions options, CancellationToken cancellationToken)
    {
        RemoteDisk? disk = null;
        var identity = new RenewedIdentity(options);
        Link link;
        try
        {
            link = await Link.MakeAsync(
                options, identity.Read(), options.FirstEpoch, (broken, why) => disk?.Lose(broken, why), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            identity.Dispose();
            throw;
        }

        disk = new RemoteDisk(options, identity, link, link.First.Length, link.First.Capabilities);
        disk._mending = disk.MendAsync();
        return disk;
    }

    /// <summary>Knows the disk from earlier and starts as one whose link is broken: nobody waits for it. The link is made once
    /// <see cref="FoundAgain"/> is set.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="length">Its size in bytes; must be found so.</param>
    /// <param name="capabilities">Its sector size, which must be found so; it has to be writable. What else it can is not asked.</param>
    public static RemoteDisk Expect(RemoteDiskOptions options, long length, DiskCapabilities capabilities)
    {
        var offered = new DiskCapabilities(
            capabilities.SectorSize, capabilities.PhysicalSectorSize, ReadOnly: false, TrimResult.Undefined, CanResize: false);
        var disk = new RemoteDisk(options, new RenewedIdentity(options), null, length, offered)
        {
            _trouble = new StorageException(StorageErrorKind.Unreachable, "it has not been made yet", operation: "connect"),
        };
        disk._loss.SetResult();
        return disk;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            await _closing.CancelAsync().ConfigureAwait(false);
            await (_mending ?? Task.CompletedTask).ConfigureAwait(false);
            if (_link is { } link)
                await link.DisposeAsync().ConfigureAwait(false);
            _closing.Dispose();
            _identity.Dispose();
        }

        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var (link, device) = Choose();
        try
        {
            await device.ReadAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (IsLoss(device, e))
        {
            throw Lose(link, e);
        }
    }

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(NbdCommand.Write, offset, buffer.Length, buffer, flags, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        ChangeAsync(NbdCommand.Flush, 0, 0, default, WriteFlags.None, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        ChangeAsync(NbdCommand.Trim, offset, length, default, WriteFlags.None, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(NbdCommand.WriteZeroes, offset, length, default, flags, cancellationToken);

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var (link, device) = Choose();
        try
        {
            return await device.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (IsLoss(device, e))
        {
            throw Lose(link, e);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeAsync(
        NbdCommand command, long offset, long length, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        var (link, device) = Choose();
        try
        {
            await PassAsync(device, command, offset, length, buffer, flags, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (IsLoss(device, e))
        {
            throw Lose(link, e);
        }
    }

    private static ValueTask PassAsync(
        NbdDevice device, NbdCommand command, long offset, long length, ReadOnlyMemory<byte> buffer, WriteFlags flags,
        CancellationToken cancellationToken) => command switch
        {
            NbdCommand.Write => device.WriteAsync(offset, buffer, flags, cancellationToken),
            NbdCommand.WriteZeroes => device.WriteZeroesAsync(offset, length, flags, cancellationToken),
            NbdCommand.Trim => device.TrimAsync(offset, length, cancellationToken),
            _ => device.FlushAsync(cancellationToken),
        };

    /// <summary>A server that is being stopped answers like a connection that is closed.</summary>
    private static bool IsLoss(NbdDevice device, StorageException error) =>
        error.Kind is StorageErrorKind.Closed or StorageErrorKind.Unreachable || device.Connection.Death is not null;

    private (Link Link, NbdDevice Device) Choose()
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        var link = _link ?? throw Unreachable(_trouble);
        return (link, link.Choose());
    }

    private StorageException Unreachable(StorageException? reason) => new(
        _isAnother ? StorageErrorKind.Closed : StorageErrorKind.Unreachable, $"the link to the disk is broken: {Words(reason)}", Path, inner: reason);

    /// <summary>Without our own path, which is said anyway; with that of a certificate, say.</summary>
    private string? Words(StorageException? reason) => reason?.Path == Path ? reason?.Reason : reason?.Message;

    private StorageException Lose(Link link, StorageException reason)
    {
        lock (_lock)
        {
            if (!ReferenceEquals(_link, link))
                return Unreachable(_trouble ?? reason);
            _trouble = reason;
            _link = null;
        }

        _options.OnChange?.Invoke($"the link to {Path} broke: {reason.Reason}");
        link.Cut(reason);
        _lost = link;
        _loss.TrySetResult();
        return Unreachable(reason);
    }

    private async Task MendAsync()
    {
        try
        {
            for (var wait = TimeSpan.Zero; ;)
            {
                await _loss.Task.WaitAsync(_closing.Token).ConfigureAwait(false);
                if (_lost is { } lost)
                {
                    // A server whose links break as soon as they are made must not keep both sides busy with making them.
                    wait = _options.Time.GetElapsedTime(_linkedAt) >= LongestRetry ? TimeSpan.Zero : After(wait);
                    await lost.DisposeAsync().ConfigureAwait(false);
                    await Task.Delay(wait, _options.Time, _closing.Token).ConfigureAwait(false);
                }

                if (!await TryMendAsync().ConfigureAwait(false))
                    return;
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            // Closed.
        }
    }

    /// <summary>Makes the link again, however long that takes. False: what is there now is another disk.</summary>
    private async Task<bool> TryMendAsync()
    {
        for (var wait = After(TimeSpan.Zero); ; wait = After(wait))
        {
            try
            {
                var link = await Link.MakeAsync(
                    _options, _identity.Read(), ++_epoch, (broken, why) => Lose(broken, why), _closing.Token).ConfigureAwait(false);
                return await TryUseAsync(link).ConfigureAwait(false);
            }
            catch (StorageException e)
            {
                _trouble = e;
                await Task.Delay(wait, _options.Time, _closing.Token).ConfigureAwait(false);
            }
        }
    }

    private TimeSpan After(TimeSpan wait) =>
        wait == TimeSpan.Zero ? _options.FirstRetryAfter : wait * 2 < LongestRetry ? wait * 2 : LongestRetry;

    private async Task<bool> TryUseAsync(Link link)
    {
        var found = link.First.Capabilities;
        if (link.First.Length != Length || found.SectorSize != Capabilities.SectorSize || found.ReadOnly != Capabilities.ReadOnly)
        {
            _trouble = new StorageException(StorageErrorKind.Closed, "the export has come back as another disk", Path);
            _isAnother = true;
            _options.OnChange?.Invoke($"{Path}: {_trouble.Reason}");
            await link.DisposeAsync().ConfigureAwait(false);
            return false;
        }

        if (FoundAgain is { } told)
            await told().ConfigureAwait(false);
        lock (_lock)
        {
            _loss = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _link = link;
            _linkedAt = _options.Time.GetTimestamp();
        }

        _options.OnChange?.Invoke($"the link to {Path} is there again");
        return true;
    }
}
