using System.Runtime.CompilerServices;
using Godwit.Storage.Tracking;

namespace Godwit.Storage.Mirror;

/// <summary>
/// A device whose inner device can be exchanged while requests keep coming. How a mirror gets under a running guest, and how
/// the guest gets onto the mirror's target.
/// </summary>
/// <remarks>
/// <para>Every request runs on exactly one inner device, wholly before or wholly after an exchange. Costs two interlocked
/// operations per request and no allocation.</para>
/// <para>Keeps the capabilities it was created with, because the guest has been told them: an exchange for a device with
/// another length, sector size or read-only state is refused, and a trim that promised zeroes becomes a zeroing where the
/// new device's trim does not promise them. Growing works whenever the device behind it at that time can grow.</para>
/// <para>Changes since points in time are marked here, inside the gate, so that a point has no request on both its sides
/// (<see cref="ChangeTracker"/>).</para>
/// <para>Owns the current inner device. Who exchanges it owns the old one from then on.</para>
/// </remarks>
public sealed class SwitchableDisk : BlockDevice
{
    private readonly RequestGate _gate = new();
    private readonly SemaphoreSlim _replacing = new(1, 1);
    private readonly ChangeTracker? _changes;
    private volatile BlockDevice _current;

    /// <summary>Creates the device.</summary>
    /// <param name="inner">What it serves first; owned from now on.</param>
    /// <param name="changes">Marks every change before it is made, whatever the inner device; stays the caller's. Null for none.</param>
    public SwitchableDisk(BlockDevice inner, ChangeTracker? changes = null)
        : base(inner.Length, inner.Capabilities)
    {
        _current = inner;
        _changes = changes;
    }

    /// <summary>The device that serves requests now.</summary>
    public BlockDevice Current => _current;

    /// <inheritdoc/>
    public override string? Path => _current.Path;

    /// <summary>Exchanges the inner device: holds new requests back, waits for those under way, runs
    /// <paramref name="exchange"/> and lets the requests go on.</summary>
    /// <param name="exchange">Gets the current device, with no request under way, and returns the one to serve from now on
    /// (the same one changes nothing). Requests wait meanwhile: be quick. When it throws, the old device stays.</param>
    /// <param name="cancellationToken">Gives up while waiting; handed to <paramref name="exchange"/> too.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the new device does not fit (see
    /// <see cref="CheckReplacement"/>); the old one stays and the new one stays the caller's.</exception>
    public async ValueTask ReplaceAsync(
        Func<BlockDevice, CancellationToken, ValueTask<BlockDevice>> exchange, CancellationToken cancellationToken)
    {
        await _replacing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _gate.CloseAsync(cancellationToken).ConfigureAwait(false);
            var next = await exchange(_current, cancellationToken).ConfigureAwait(false);
            CheckReplacement(next);
            _current = next;
        }
        finally
        {
            _gate.Open();
            _replacing.Release();
        }
    }

    /// <summary>Exchanges the inner devices of several disks at one instant, at which none of them has a request under way: what was answered before it
    /// is on the old devices, everything else goes to the new ones.</summary>
    /// <param name="disks">The disks, each once, always in the same order.</param>
    /// <param name="exchange">Gets the current devices and returns those to serve from now on, in the same order; they must fit
    /// (<see cref="CheckReplacement"/>). Requests of all disks wait meanwhile. When it throws, the old devices stay.</param>
    /// <param name="cancellationToken">Gives up while waiting for requests under way.</param>
    public static async ValueTask ReplaceAllAsync(
        IReadOnlyList<SwitchableDisk> disks, Func<IReadOnlyList<BlockDevice>, ValueTask<IReadOnlyList<BlockDevice>>> exchange,
        CancellationToken cancellationToken)
    {
        var taken = 0;
        try
        {
            for (; taken < disks.Count; taken++)
                await disks[taken]._replacing.WaitAsync(cancellationToken).ConfigureAwait(false);
            var closing = disks.Select(disk => disk._gate.CloseAsync(cancellationToken)).ToArray();
            try
            {
                await Task.WhenAll(closing).ConfigureAwait(false);
                var next = await exchange([.. disks.Select(disk => disk._current)]).ConfigureAwait(false);
                for (var index = 0; index < disks.Count; index++)
                    disks[index].CheckReplacement(next[index]);
                for (var index = 0; index < disks.Count; index++)
                    disks[index]._current = next[index];
            }
            finally
            {
                foreach (var disk in disks)
                    disk._gate.Open();
            }
        }
        finally
        {
            while (taken-- > 0)
                disks[taken]._replacing.Release();
        }
    }

    /// <summary>Runs something while no request is under way: holds new ones back and waits for the others.</summary>
    /// <param name="action">Gets the size of the disk in bytes. Requests wait meanwhile: be quick.</param>
    /// <param name="cancellationToken">Gives up while waiting; then nothing was run.</param>
    public ValueTask PauseAsync(Action<long> action, CancellationToken cancellationToken) => ReplaceAsync(
        (current, _) =>
        {
            // Not our own length: a resize tells that only after it has let the requests go on.
            action(current.Length);
            return ValueTask.FromResult(current);
        },
        cancellationToken);

    /// <summary>Tells whether a device may take the place of the current one. Ask before a step that cannot be undone.</summary>
    /// <param name="next">The device.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: length, sector size or read-only state
    /// differs.</exception>
    public void CheckReplacement(BlockDevice next)
    {
        if (next.Length != _current.Length)
            throw Unfit(next, $"it has {next.Length} bytes instead of {_current.Length}");
        if (next.Capabilities.SectorSize != Capabilities.SectorSize)
            throw Unfit(next, $"its sectors have {next.Capabilities.SectorSize} bytes instead of {Capabilities.SectorSize}");
        if (next.Capabilities.ReadOnly && !Capabilities.ReadOnly)
            throw Unfit(next, "it is read-only");
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _current.DisposeAsync().ConfigureAwait(false);
        _replacing.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Read(offset, buffer), cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        if (!_gate.TryEnterNow())
            return 0;
        try
        {
            return _current.TryMoveToPipe(offset, length, pipe);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (!_gate.TryEnterNow())
            return false;
        try
        {
            // If it is not moved it is written next: a mark too early is no mark too many.
            _changes?.Mark(offset, length);
            return _current.TryMoveFromPipe(offset, length, pipe);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Write(offset, buffer, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Flush, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Trim(offset, length), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Zero(offset, length, flags), cancellationToken);

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (!_gate.TryEnter())
            await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await _current.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        if (!_gate.TryEnter())
            await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _current.ResizeAsync(length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }

        // Nobody writes to the new part before this method has returned. From here on there is no way back.
        if (_changes is { Points.Count: > 0 } changes)
            await PauseAsync(changes.Grow, CancellationToken.None).ConfigureAwait(false);
    }

    private static StorageException Unfit(BlockDevice next, string reason) => new(
        StorageErrorKind.InvalidRequest, $"this device cannot take over: {reason}", next.Path, operation: "switch");

    private ValueTask PassAsync(in DiskRequest request, CancellationToken cancellationToken)
    {
        if (!_gate.TryEnter())
            return QueueAsync(request, cancellationToken);
        ValueTask sent;
        try
        {
            sent = SendAsync(request, cancellationToken);
        }
        catch
        {
            _gate.Exit();
            throw;
        }

        return _gate.ExitAfterAsync(sent);
    }

    private ValueTask SendAsync(in DiskRequest request, CancellationToken cancellationToken)
    {
        var device = _current;
        if (request.Kind is DiskRequestKind.Write or DiskRequestKind.Zero or DiskRequestKind.Trim)
            _changes?.Mark(request.Offset, request.Length);
        return request.Kind == DiskRequestKind.Trim && Capabilities.Trim == TrimResult.Zeroes && device.Capabilities.Trim != TrimResult.Zeroes
            ? request.AsZero().SendAsync(device, cancellationToken)
            : request.SendAsync(device, cancellationToken);
    }

    private async ValueTask QueueAsync(DiskRequest request, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }
}
