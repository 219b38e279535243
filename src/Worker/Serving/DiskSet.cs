using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Chains;
using Godwit.Worker.Layers;
using Godwit.Worker.Logging;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Serving;

/// <summary>All disks of the VM. One that cannot be opened does not keep the others from their guest.</summary>
internal sealed class DiskSet : IDisposable
{
    private static readonly TimeSpan InUsePatience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan InUsePause = TimeSpan.FromMilliseconds(10);
    private readonly List<ServedDisk> _disks;
    private readonly TimeProvider _time;
    private readonly EventLog _log;

    /// <summary>Creates the disks of a configuration; none is open yet.</summary>
    internal DiskSet(WorkerConfigFile config, WorkerFolders folders, AllowedFolders? parentFolders, string bootId, TimeProvider time, EventLog log)
    {
        _time = time;
        _log = log;
        _disks = [.. config.Current.Disks.Select(
            entry => new ServedDisk(new MirrorContext(entry.Disk.Name, config, folders, parentFolders, bootId, time, log)))];
    }

    /// <summary>What is offered now; grows when a disk gets well.</summary>
    internal ExportTable Exports { get; } = new();

    /// <summary>Opens every disk, waiting a little for one that an older worker is just letting go of.</summary>
    internal Task OpenAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_disks.Select(disk => OpenPatientlyAsync(disk, cancellationToken)));

    /// <summary>Tries disks that are not open once more.</summary>
    internal async Task RetryAsync(CancellationToken cancellationToken)
    {
        foreach (var disk in _disks)
        {
            if (disk.Export is null)
                await OfferAsync(disk, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Looks after the mirrors.</summary>
    internal async Task CheckMirrorsAsync()
    {
        foreach (var disk in _disks)
        {
            try
            {
                await disk.CheckMirrorAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is GodwitException or IOException)
            {
                _log.Warn($"{disk.Name}: check failed, trying again: {e.Message}");
            }
        }
    }

    /// <summary>The disk of that name.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>: there is none.</exception>
    internal ServedDisk Find(string? name) => _disks.Find(disk => disk.Name == name)
        ?? throw new GodwitException(ErrorCode.NotFound, $"this worker serves no disk called \"{name}\"");

    /// <summary>Puts new images on top of some disks, while nothing else changes these disks.</summary>
    /// <exception cref="GodwitException">Refused or failed; everything is as it was.</exception>
    internal Task AddLayersAsync(AddLayers request)
    {
        if (request.Layers is not { Count: > 0 } layers || layers.Any(layer => layer is null))
            throw new GodwitException(ErrorCode.InvalidRequest, "there are no layers to add");
        if (layers.DistinctBy(layer => layer.Disk).Count() < layers.Count || layers.DistinctBy(layer => layer.Path).Count() < layers.Count)
            throw new GodwitException(ErrorCode.InvalidRequest, "a disk or a path is named twice");

        // In one order whoever asks, so that two who ask for the same disks do not wait for each other.
        var wanted = layers.Select(layer => (Disk: Find(layer.Disk), layer.Path)).OrderBy(each => _disks.IndexOf(each.Disk)).ToList();
        var cuts = new List<(DiskLayers, string)>();
        return TakeAsync(0);

        Task TakeAsync(int index) => index == wanted.Count
            ? new LayerCut(request.JobId, cuts).RunAsync()
            : wanted[index].Disk.WithLayersAsync(disk =>
            {
                cuts.Add((disk, wanted[index].Path));
                return TakeAsync(index + 1);
            });
    }

    /// <summary>How every disk stands now.</summary>
    internal IReadOnlyList<WorkerDiskStatus> Status() => [.. _disks.Select(disk => disk.Status())];

    /// <summary>Does something to every disk at the same time.</summary>
    internal Task ForAllAsync(Func<ServedDisk, Task> action) => Task.WhenAll(_disks.Select(action));

    /// <summary>Waits for what is being done to each disk, a switch of its mirror say, and flushes it, while all of them are served: so
    /// that little is left to do once they are not.</summary>
    internal async Task SettleAsync()
    {
        foreach (var disk in _disks)
        {
            try
            {
                await disk.FlushAsync().ConfigureAwait(false);
            }
            catch (IOException e)
            {
                _log.Warn($"{disk.Name} could not be flushed: {e.Message}");
            }
        }
    }

    /// <summary>Flushes and closes every disk; goes on to the next when one fails.</summary>
    /// <returns>False when at least one could not be flushed.</returns>
    internal async Task<bool> CloseAsync()
    {
        var clean = true;
        foreach (var disk in _disks)
        {
            try
            {
                await disk.CloseAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is GodwitException or IOException)
            {
                clean = false;
                _log.Error($"{disk.Name} could not be flushed and closed: {e.Message}");
            }
        }

        return clean;
    }

    /// <inheritdoc/>
    public void Dispose() => _disks.ForEach(disk => disk.Dispose());

    private async Task OpenPatientlyAsync(ServedDisk disk, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        while (!await OfferAsync(disk, cancellationToken).ConfigureAwait(false)
            && disk.Problem is { Code: ErrorCode.Busy }
            && _time.GetElapsedTime(start) < InUsePatience)
        {
            await Task.Delay(InUsePause, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<bool> OfferAsync(ServedDisk disk, CancellationToken cancellationToken)
    {
        var opened = await disk.TryOpenAsync(cancellationToken).ConfigureAwait(false);
        if (opened)
            Exports.Add(disk.Export!);
        return opened;
    }
}
