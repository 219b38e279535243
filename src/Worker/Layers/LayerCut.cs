using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Mirror;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Mirrors;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Layers;

/// <summary>Puts new images on top of some disks at one instant (docs/design/layers.md).</summary>
/// <remarks>The caller keeps everything else away from the disks meanwhile. Before the commit point every failure leaves all as it was and no file
/// behind; after it nothing fails. One run per object.</remarks>
internal sealed class LayerCut
{
    // The second one fits: a leaf's identity changes with its first change, and that has come by then.
    private const int MostAttempts = 4;

    private readonly Guid _job;
    private readonly IReadOnlyList<(DiskLayers Disk, string Path)> _cuts;
    private readonly string[] _names;
    private readonly WorkerConfigFile _config;
    private readonly WorkerFolders _folders;
    private readonly TimeProvider _time;
    private readonly EventLog _log;
    private readonly ChainLayer[] _parents;
    private readonly DiskChain?[] _next;
    private readonly List<string> _times = [];
    private long _timed;
    private bool _committed;
    private Exception? _failure;

    /// <summary>Creates it.</summary>
    /// <param name="job">The job that asks.</param>
    /// <param name="cuts">The disks, always in the same order, and the new image of each. At least one.</param>
    internal LayerCut(Guid job, IReadOnlyList<(DiskLayers Disk, string Path)> cuts)
    {
        var context = cuts[0].Disk.Context;
        (_job, _cuts, _config, _folders, _time, _log) = (job, cuts, context.Config, context.Folders, context.Time, context.Log);
        _names = [.. cuts.Select(cut => cut.Disk.Context.Name)];
        _parents = new ChainLayer[cuts.Count];
        _next = new DiskChain[cuts.Count];
    }

    /// <summary>Does it, unless this job has done it already.</summary>
    /// <exception cref="GodwitException">Refused or failed; everything is as it was.</exception>
    /// <exception cref="StorageException">The same.</exception>
    internal async Task RunAsync()
    {
        if (IsDone())
            return;
        foreach (var (disk, path) in _cuts)
        {
            LayerRecovery.Remove(disk.Context);
            LayerPlace.Check(disk, path, _job);
        }

        await WhileOursAsync(0, RunWhileOursAsync).ConfigureAwait(false);
    }

    private bool IsDone()
    {
        var done = _cuts.Count(cut => cut.Disk.Context.Entry is { Layer: { } layer } entry
            && layer.JobId == _job && layer.Path == cut.Path && entry.Disk.Path == cut.Path);
        if (done == _cuts.Count)
            return true;
        return _config.Current.Disks.Any(entry => entry.Layer?.JobId == _job)
            ? throw new GodwitException(ErrorCode.InvalidRequest, $"job {_job} has put layers on top of disks already, and not these", "take a new id for another job")
            : false;
    }

    private Task WhileOursAsync(int index, Func<Task> action) => index == _cuts.Count
        ? action()
        : Lease.WhileOursAsync(_cuts[index].Disk.Fence, _names[index], () => WhileOursAsync(index + 1, action));

    private async Task RunWhileOursAsync()
    {
        for (var attempt = 0; attempt < MostAttempts && !_committed; attempt++)
        {
            try
            {
                await PrepareAsync().ConfigureAwait(false);
                await CutAsync().ConfigureAwait(false);
            }
            finally
            {
                if (!_committed)
                    Undo();
            }
        }

        if (!_committed)
            throw new GodwitException(ErrorCode.Busy, $"{string.Join(", ", _names)}: the disks changed while their new layers were made", "try again");
    }

    /// <summary>Makes the files and gives them their names; nobody uses them yet.</summary>
    private async Task PrepareAsync()
    {
        _config.Update(_names, entry => entry with { NewLayer = New(entry.Disk.Name) });
        Reached("recorded");
        for (var index = 0; index < _cuts.Count; index++)
        {
            var unfinished = TargetFiles.Unfinished(_cuts[index].Path, _job);
            _parents[index] = await ChildImage.CreateOverAsync(unfinished, _cuts[index].Disk.Chain, CancellationToken.None).ConfigureAwait(false);
            Reached($"created-{index}");
        }

        _config.Update(_names, entry => entry with { NewLayer = entry.NewLayer! with { File = FileStatus.Read(entry.NewLayer.UnfinishedPath)?.Identity } });
        Reached("identified");
        foreach (var (_, path) in _cuts)
        {
            LocalFolder.RenameWithoutReplacing(TargetFiles.Unfinished(path, _job), path);
            LocalFolder.Sync(Path.GetDirectoryName(path)!);
            Reached("named");
        }
    }

    private WorkerNewLayerConfig New(string disk)
    {
        var path = _cuts[Array.IndexOf(_names, disk)].Path;
        return new WorkerNewLayerConfig(_job, path, TargetFiles.Unfinished(path, _job));
    }

    private async Task CutAsync()
    {
        // Twice before requests are held: the second one has only what came during the first, and so has the one that they wait for.
        var devices = _cuts.Select(cut => cut.Disk.Device).ToList();
        for (var round = 0; round < 2; round++)
            await Task.WhenAll(devices.Select(device => device.FlushAsync(CancellationToken.None).AsTask())).ConfigureAwait(false);
        var asked = _timed = _time.GetTimestamp();
        await DiskLayers.WithPatienceAsync(
            _cuts[0].Disk.Context, token => SwitchableDisk.ReplaceAllAsync(devices, ExchangeAsync, token)).ConfigureAwait(false);
        var waited = _time.GetElapsedTime(asked);
        if (_committed)
            _log.Note($"{string.Join(", ", _cuts.Select(cut => $"{cut.Disk.Context.Name} goes on in {cut.Path}"))}; requests waited {waited.TotalMilliseconds:F1} ms at most ({string.Join(", ", _times)})");
        if (_failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
    }

    /// <summary>Runs while no request is under way on any of the disks.</summary>
    private async ValueTask<IReadOnlyList<BlockDevice>> ExchangeAsync(IReadOnlyList<BlockDevice> current)
    {
        Time("for requests under way");
        await Task.WhenAll(current.Select(device => device.FlushAsync(CancellationToken.None).AsTask())).ConfigureAwait(false);
        for (var index = 0; index < _cuts.Count; index++)
        {
            // Written to for the first time, or made larger, since the new image was made: another one is needed.
            var leaf = _cuts[index].Disk.Chain.Leaf.Description;
            if (leaf.Linkage != _parents[index].Description.Linkage || leaf.Size != _parents[index].Description.Size)
                return current;
        }

        // The last moment to look: what follows takes effect.
        await WhileOursAsync(0, () => Task.CompletedTask).ConfigureAwait(false);
        Time("to flush");
        Reached("held");
        try
        {
            await Task.WhenAll(Enumerable.Range(0, _cuts.Count).Select(index => ExchangeAsync(index, current[index]))).ConfigureAwait(false);
            Time("to close and open");
            Reached("opened");
            Commit();
            Time("to record");
        }
        catch (Exception e)
        {
            // Whatever it was: the guest's requests come to an open disk.
            _failure = e;
            await GoBackAsync().ConfigureAwait(false);
        }

        for (var index = 0; index < _cuts.Count; index++)
            _cuts[index].Disk.Become(_next[index]!);
        return [.. _next.Select(chain => chain!.Device)];
    }

    /// <summary>Closes a disk, so that nothing waits in the log of what has been its leaf, and opens it with the new one.</summary>
    private async Task ExchangeAsync(int index, BlockDevice current)
    {
        var (disk, path) = _cuts[index];
        await current.DisposeAsync().ConfigureAwait(false);
        Reached($"closed-{index}");
        var options = DiskLayers.Options(disk.Context, FormatOver(disk));
        _next[index] = await DiskChain.OpenAsync(path, options, CancellationToken.None).ConfigureAwait(false);
        disk.Device.CheckReplacement(_next[index]!.Device);
    }

    private void Commit()
    {
        CommitPoint.Pass(_cuts[0].Disk.Context, _names, Committed, () => _config.Disk(_names[0]).Layer?.JobId == _job);
        _committed = true;
        Reached("committed");
    }

    private WorkerDiskConfig Committed(WorkerDiskConfig entry)
    {
        var (disk, path) = _cuts[Array.IndexOf(_names, entry.Disk.Name)];
        return entry with
        {
            Disk = entry.Disk with { Path = path, Format = FormatOver(disk).ToApi() },
            Layer = new AddedLayer(_job, path, entry.Disk.Path),
            NewLayer = null,
        };
    }

    private static ImageFormat FormatOver(DiskLayers disk) => ChildImage.FormatOver(disk.Chain.Layers[0].Description.Format)!.Value;

    /// <summary>Serves the old leaves again.</summary>
    private async Task GoBackAsync()
    {
        for (var index = 0; index < _cuts.Count; index++)
        {
            if (_next[index] is { } opened)
                await CloseQuietlyAsync(opened.Device).ConfigureAwait(false);
            (_next[index], _) = await _cuts[index].Disk.OpenAgainAsync(writable: null).ConfigureAwait(false);
        }
    }

    private async Task CloseQuietlyAsync(BlockDevice device)
    {
        try
        {
            await device.DisposeAsync().ConfigureAwait(false);
        }
        catch (StorageException e)
        {
            _log.Warn($"a layer that was not put on top was not closed properly: {e.Message}");
        }
    }

    private void Undo()
    {
        foreach (var (disk, _) in _cuts)
            LayerRecovery.Settle(disk.Context);
    }

    private void Time(string what)
    {
        var now = _time.GetTimestamp();
        _times.Add(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{_time.GetElapsedTime(_timed, now).TotalMilliseconds:F1} {what}"));
        _timed = now;
    }

    private void Reached(string step) => PlantedDeath.At(_folders, $"layers-{step}");
}
