using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats;
using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;
using Godwit.Storage.Tracking;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Layers;
using Godwit.Worker.Mirrors;
using Godwit.Worker.Tracking;

namespace Godwit.Worker.Serving;

/// <summary>One disk of the VM: opened as soon as that is possible, then offered until the worker ends.</summary>
/// <remarks>The status may be read from any thread at any time; everything that changes the disk runs one at a time.</remarks>
internal sealed class ServedDisk : IDisposable
{
    private static readonly TimeSpan InUsePatience = TimeSpan.FromSeconds(2);
    private readonly MirrorContext _context;
    private readonly SemaphoreSlim _gate = new(1);
    private readonly DiskUse _use;
    private readonly Fence _fence;
    private volatile Problem? _problem;
    private volatile NbdExport? _export;
    private DiskMirroring? _mirroring;
    private volatile DiskPoints? _points;
    private volatile DiskLayers? _layers;
    private DiskMerging? _merging;
    private SwitchableDisk? _device;
    private DiskCounters? _counters;
    private DiskFormat _format;
    private IReadOnlyList<string>? _gaps;
    private long? _firstTried;
    private bool _closed;

    /// <summary>Creates the disk, not opened yet.</summary>
    internal ServedDisk(MirrorContext context)
    {
        _context = context;
        _use = new DiskUse(context);
        _fence = new Fence(BootTime.Clock, context.Entry.Disk.Path);

        // Before anything is opened: a mirror that is taken up again waits as guests do.
        if (context.Entry.Leased)
            _ = _fence.HoldAsync(CancellationToken.None);
    }

    /// <summary>Name of the export.</summary>
    internal string Name => _context.Name;

    /// <summary>What is offered over NBD; null until the disk has been opened.</summary>
    internal NbdExport? Export => _export;

    /// <summary>Why the disk is not offered; null once it is.</summary>
    internal Problem? Problem => _problem;

    /// <summary>Opens the disk if it is not open yet, and takes up its mirror where an earlier worker left it.</summary>
    /// <returns>True when it is open now and was not before.</returns>
    internal Task<bool> TryOpenAsync(CancellationToken cancellationToken) => ExclusiveAsync(async () =>
    {
        if (_export is not null || _closed)
            return false;
        try
        {
            await OpenAsync(cancellationToken).ConfigureAwait(false);
            _problem = null;
            return true;
        }
        catch (Exception e) when (Problems.TryOf(e) is not null)
        {
            var problem = Problems.TryOf(e)!;
            if (problem.Title != _problem?.Title)
                _context.Log.Error($"{Name} cannot be opened: {problem.Title}");
            _problem = problem;
            return false;
        }
    });

    /// <summary>Runs something that changes the mirror.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: the disk is not open.</exception>
    internal Task MirrorAsync(Func<DiskMirroring, Task> change) => ExclusiveAsync(async () =>
    {
        await change(WhileOpen(_mirroring)).ConfigureAwait(false);
        return true;
    });

    /// <summary>Runs something that changes the points.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: the disk is not open.</exception>
    internal Task TrackAsync(Func<DiskPoints, Task> change) => ExclusiveAsync(async () =>
    {
        await change(WhileOpen(_points)).ConfigureAwait(false);
        return true;
    });

    /// <summary>Runs something that concerns the merge of a layer.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: the disk is not open.</exception>
    internal Task MergeAsync(Func<DiskMerging, Task> change) => ExclusiveAsync(async () =>
    {
        await change(WhileOpen(_merging)).ConfigureAwait(false);
        return true;
    });

    /// <summary>Runs something with the chain of the disk, while nothing else changes it.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: the disk is not open.</exception>
    internal Task WithLayersAsync(Func<DiskLayers, Task> action) => ExclusiveAsync(async () =>
    {
        await action(WhileOpen(_layers)).ConfigureAwait(false);
        return true;
    });

    /// <summary>Limits how much the disk may be used; recorded first, so that the next worker knows.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: the limits make no sense.</exception>
    internal Task LimitAsync(DiskLimitSpec limits) => ExclusiveAsync(() =>
    {
        _use.Change(limits);
        return Task.FromResult(true);
    });

    /// <summary>Serves until a deadline, and from now on not without a lease. Recorded first, so that the next worker does not either.</summary>
    /// <remarks>This, holding and revoking are not one at a time with the rest: a mirror's switch, or a link that is being made, may take
    /// longer than a lease.</remarks>
    internal void Renew(RenewLease lease)
    {
        NeedLease();
        _fence.Renew(lease.Generation, TimeSpan.FromMilliseconds(lease.Milliseconds));
    }

    /// <summary>Holds all requests, a mirror's own too; none is under way when it returns, unless a lease came first.</summary>
    internal Task HoldAsync()
    {
        // Held first, whatever becomes of the record.
        var held = _fence.HoldAsync(CancellationToken.None);
        NeedLease();
        return held;
    }

    /// <summary>Fails all requests from now on; the next worker holds them until it has a lease.</summary>
    internal void Revoke(string reason)
    {
        _fence.Revoke(reason);
        NeedLease();
    }

    /// <summary>Looks after a mirror, and what the disk was promised; called about every second.</summary>
    internal Task CheckMirrorAsync() => ExclusiveAsync(async () =>
    {
        _use.Check();
        if (_mirroring is not null && !_closed)
            await _mirroring.CheckAsync().ConfigureAwait(false);
        if (_merging is not null && !_closed)
            await _merging.CheckAsync().ConfigureAwait(false);
        return true;
    });

    /// <summary>How the disk stands now.</summary>
    internal WorkerDiskStatus Status()
    {
        var entry = _context.Entry;
        var allocated = FileStatus.Read(entry.Disk.Path, follow: true)?.AllocatedBytes ?? 0;
        return new WorkerDiskStatus(
            Name,
            entry.Disk.Path,
            _export is null ? entry.Disk.Format ?? DiskFormat.Raw : _format,
            _export?.Device.Length ?? 0,
            allocated,
            _export?.Connections ?? 0,
            _mirroring?.Status() ?? MirrorReport.Of(entry.Mirror, null, null),
            _problem,
            _counters is { } counters ? Statistics.Of(counters) : null,
            entry.Limits,
            _points?.Status(),
            _gaps,
            _use.Shortfall,
            _layers is { } layers ? [.. layers.Chain.Layers.Select(layer => layer.Path)] : null,
            entry.Layer,
            _merging?.Status() ?? MergeReport.Of(entry.Merge));
    }

    /// <summary>Flushes the disk, after whatever is changing it now; not one that is held.</summary>
    internal Task FlushAsync() => ExclusiveAsync(async () =>
    {
        if (_device is { } device && !_closed)
            await _fence.TryRunAsync(() => device.FlushAsync(CancellationToken.None).AsTask()).ConfigureAwait(false);
        return true;
    });

    /// <summary>Flushes and closes everything. The server has ended: no request comes any more.</summary>
    /// <remarks>A disk that is held is left as it is, as if this process had been killed: closing writes too, a VHDX the end of its log.</remarks>
    internal Task CloseAsync() => ExclusiveAsync(async () =>
    {
        _closed = true;
        if (_mirroring is not null)
            await _mirroring.CloseAsync().ConfigureAwait(false);
        if (_merging is not null)
            await _merging.CloseAsync().ConfigureAwait(false);
        if (_device is { } device && !await _fence.TryRunAsync(() => CloseAsync(device)).ConfigureAwait(false))
            _context.Log.Warn($"{Name} is held for want of a lease: left as it is, not flushed");
        return true;
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _gate.Dispose();
        _fence.Dispose();
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        var disk = _context.Entry.Disk;
        MirrorRecovery.Settle(_context);
        LayerRecovery.Settle(_context);
        var stamp = ImageStamp.TryRead(disk.Path);
        var image = await DiskImage.DescribeAsync(disk.Path, disk.Format?.ToStorage(), cancellationToken).ConfigureAwait(false);
        if (disk.Format is null)
            Keep(image.Format);
        var (source, refused) = await OpenChainAsync(image.Format, cancellationToken).ConfigureAwait(false);
        var changes = new ChangeTracker();
        var device = new SwitchableDisk(source.Device, changes);
        var counters = new DiskCounters();
        var mirroring = new DiskMirroring(_context, device, image, counters.ReadLoad, _fence);
        var points = new DiskPoints(_context, device, changes);
        var layers = new DiskLayers(_context, device, source, _fence) { Changed = chain => Become(chain, mirroring) };
        mirroring.Switched = layers.Become;
        var merging = new DiskMerging(layers, counters.ReadLoad);
        try
        {
            points.Restore(stamp);
            await merging.ResumeAsync(refused).ConfigureAwait(false);
            await mirroring.ResumeAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await merging.CloseAsync().ConfigureAwait(false);
            await device.DisposeAsync().ConfigureAwait(false);
            changes.Dispose();
            throw;
        }

        (_layers, _merging) = (layers, merging);
        (_format, _device, _mirroring, _counters, _points) = (image.Format.ToApi(), device, mirroring, counters, points);
        _export = new NbdExport(Name, Stack(device, counters)) { Changes = changes };
        _gaps = source.Gaps.Count > 0 ? source.Gaps : null;
        foreach (var gap in source.Gaps)
            _context.Log.Warn($"{Name}: {gap}");
        _context.Log.Note($"{Name} is served from {disk.Path} ({_format}, {device.Length} bytes)");
    }

    /// <summary>Opens the chain; where a merge goes on, with the layer it writes to.</summary>
    private async Task<(DiskChain Chain, StorageException? Refused)> OpenChainAsync(ImageFormat format, CancellationToken cancellationToken)
    {
        var writable = DiskMerging.WritableLayer(_context.Entry);
        _firstTried ??= _context.Time.GetTimestamp();
        try
        {
            var options = DiskLayers.Options(_context, format, writable);
            return (await DiskChain.OpenAsync(_context.Entry.Disk.Path, options, cancellationToken).ConfigureAwait(false), null);
        }
        catch (StorageException e) when (writable is not null
            && (e.Kind != StorageErrorKind.InUse || _context.Time.GetElapsedTime(_firstTried.Value) > InUsePatience))
        {
            // The guest needs its disk whatever becomes of the merge.
            var options = DiskLayers.Options(_context, format);
            return (await DiskChain.OpenAsync(_context.Entry.Disk.Path, options, cancellationToken).ConfigureAwait(false), e);
        }
    }

    private void Become(DiskChain chain, DiskMirroring mirroring)
    {
        var image = chain.Layers[0].Description;
        _format = image.Format.ToApi();
        mirroring.Become(image);
    }

    private async Task CloseAsync(SwitchableDisk device)
    {
        await device.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        await device.DisposeAsync().ConfigureAwait(false);
        _points!.Close();
    }

    /// <summary>What stands between a client and the disk (docs/design/storage.md).</summary>
    private MeteredDisk Stack(SwitchableDisk device, DiskCounters counters)
    {
        var disk = _context.Entry.Disk;
        BlockDevice durable = disk is { Cache: DiskCache.Writethrough, ReadOnly: false } ? new WriteThroughDisk(device) : device;
        var throttle = new ThrottledDisk(new FencedDisk(durable, _fence), _context.Time);
        _use.Attach(throttle);
        return new MeteredDisk(throttle, counters);
    }

    private void NeedLease()
    {
        if (!_context.Entry.Leased)
            _context.Config.Update(Name, entry => entry with { Leased = true });
    }

    /// <summary>Records what was found: from now on a guest that writes another format's header into its raw disk changes nothing.</summary>
    private void Keep(ImageFormat found) =>
        _context.Config.Update(Name, entry => entry with { Disk = entry.Disk with { Format = found.ToApi() } });

    private T WhileOpen<T>(T? part)
        where T : class => part is not null && !_closed ? part : throw new GodwitException(
        ErrorCode.Unavailable, $"disk {Name} is not open: {_problem?.Title ?? "the worker ends"}", _problem?.Remedy);

    private async Task<T> ExclusiveAsync<T>(Func<Task<T>> action)
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            return await action().ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }
}
