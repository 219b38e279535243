using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;
using Godwit.Storage.Operations;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Mirrors;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Layers;

/// <summary>The merge of one layer of a disk into its parent: start, watch, finish, cancel, forget (docs/design/layers.md). worker.json is written before each
/// step, so that the next worker can go on.</summary>
/// <remarks>The caller runs one method at a time; only <see cref="Status"/> may be called at any time.</remarks>
internal sealed partial class DiskMerging
{
    private static readonly TimeSpan BetweenTries = TimeSpan.FromSeconds(30);
    private readonly DiskLayers _layers;
    private readonly Func<GuestLoad> _guests;
    private readonly MirrorContext _context;
    private volatile RunningMerge? _running;
    private volatile Problem? _problem;
    private (long Done, long Total) _last;
    private long? _tried;

    /// <summary>Creates it for a disk that has just been opened.</summary>
    /// <param name="layers">The disk's chain.</param>
    /// <param name="guests">What guests have asked for so far: copies keep out of their way.</param>
    internal DiskMerging(DiskLayers layers, Func<GuestLoad> guests)
    {
        _layers = layers;
        _guests = guests;
        _context = layers.Context;
    }

    private WorkerMergeConfig? Merge => _context.Entry.Merge;

    /// <summary>The layer that has to be writable for a merge that an earlier worker had begun; null for none.</summary>
    internal static string? WritableLayer(WorkerDiskConfig entry) => entry.Merge is { State: MergeState.Copying, Failure: null } merge ? merge.Target : null;

    /// <summary>How the merge stands, if there is one.</summary>
    internal MergeStatus? Status()
    {
        var merge = Merge;
        return MergeReport.Of(merge, _running?.Progress ?? _last, _problem ?? (merge is null ? null : WhyHeld(merge)));
    }

    /// <summary>Goes on with the copy that an earlier worker had begun.</summary>
    /// <param name="refused">Why its target could not be opened for writing.</param>
    internal async Task ResumeAsync(Exception? refused)
    {
        if (Merge is not { State: MergeState.Copying, Failure: null } merge)
            return;
        try
        {
            if (refused is not null)
                Fail(merge, Problems.TryOf(refused)!);
            else
                await BeginOrFailAsync(merge).ConfigureAwait(false);
        }
        catch (StorageException e)
        {
            // The next look tries again.
            _context.Log.Warn($"{_context.Name}: the merge of {merge.Path} could not go on: {e.Message}");
        }
    }

    /// <summary>Starts copying; the same job again tries what is left.</summary>
    internal async Task StartAsync(MergeLayer request)
    {
        CheckRate(request.BytesPerSecond);
        if (Merge is { } existing && existing.JobId == request.JobId)
        {
            _tried = null;
            if (existing is { State: MergeState.Finishing or MergeState.Removing })
                await Lease.WhileOursAsync(_layers.Fence, _context.Name, () => AdvanceAsync(existing)).ConfigureAwait(false);
            return;
        }

        if (Merge is { State: not MergeState.Merged, Failure: null } other)
        {
            throw new GodwitException(
                ErrorCode.Busy, $"layer {other.Path} of disk {_context.Name} is being merged by job {other.JobId}", "wait for that job, or cancel it");
        }

        var index = Find(request.Path);
        await LiveMerge.CheckAsync(_layers.Chain, index, DiskLayers.Options(_context, _layers.Chain.Layers[0].Description.Format), CancellationToken.None).ConfigureAwait(false);
        await Lease.WhileOursAsync(_layers.Fence, _context.Name, () => StartAnewAsync(request, index)).ConfigureAwait(false);
    }

    /// <summary>Changes the rate limit.</summary>
    internal Task LimitAsync(LimitMerge request)
    {
        CheckRate(request.BytesPerSecond);
        if (Merge is not { } merge || merge.JobId != request.JobId)
            throw new GodwitException(ErrorCode.NotFound, $"disk {_context.Name} has no merge of job {request.JobId}");
        Record(merge with { BytesPerSecond = request.BytesPerSecond });
        _running?.Limit(request.BytesPerSecond);
        return Task.CompletedTask;
    }

    /// <summary>Ends a merge; without one of that job it is already so.</summary>
    internal async Task CancelAsync(CancelMerge request)
    {
        if (Merge is not { } merge || merge.JobId != request.JobId)
            return;
        if (merge is { Failure: null, State: not MergeState.Copying })
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"layer {merge.Path} of disk {_context.Name} is in {merge.Target} already; there is nothing left to cancel");
        }

        if (merge.Failure is null)
            await Lease.WhileOursAsync(_layers.Fence, _context.Name, StopAndCloseTargetAsync).ConfigureAwait(false);
        Record(null);
        _last = default;
        _context.Log.Note($"{_context.Name}: the merge of {merge.Path} by job {merge.JobId} was cancelled");
    }

    /// <summary>Forgets a merge that has ended.</summary>
    internal Task ForgetAsync(ForgetMerge request)
    {
        if (Merge is not { } merge || merge.JobId != request.JobId)
            return Task.CompletedTask;
        if (merge is { Failure: null, State: not MergeState.Merged })
            throw new GodwitException(ErrorCode.WrongState, $"the merge of {merge.Path} has not ended yet", "wait for it, or cancel it");
        Record(null);
        _last = default;
        return Task.CompletedTask;
    }

    /// <summary>Looks whether a step is due; called about every second.</summary>
    internal async Task CheckAsync()
    {
        if (Merge is not { Failure: null, State: not MergeState.Merged } merge || WhyHeld(merge) is not null)
            return;
        if (merge.State == MergeState.Copying && _running is { HasEnded: false })
            return;
        if (_tried is { } tried && _context.Time.GetElapsedTime(tried) < BetweenTries)
            return;
        _tried = _context.Time.GetTimestamp();
        await Lease.WhileOursAsync(_layers.Fence, _context.Name, () => AdvanceAsync(merge)).ConfigureAwait(false);
    }

    /// <summary>Ends the copy, leaving the record to the next worker.</summary>
    internal async Task CloseAsync()
    {
        if (_running is not { } running)
            return;
        await running.StopAsync().ConfigureAwait(false);
        await LeaveAsync(running).ConfigureAwait(false);
    }

    private Problem? WhyHeld(WorkerMergeConfig merge) =>
        merge.State == MergeState.Merged ? null : Lease.WhyHeld(_layers.Fence, _context.Name);

    private int Find(string path)
    {
        var layers = _layers.Chain.Layers;
        for (var index = 0; index < layers.Count; index++)
        {
            if (layers[index].Path != path)
                continue;
            return _context.Entry.Disk.ReadOnly ? throw new GodwitException(ErrorCode.WrongState, $"disk {_context.Name} is read-only") : index;
        }

        throw new GodwitException(ErrorCode.NotFound, $"{path} is no layer of disk {_context.Name} ({string.Join(", ", layers.Select(layer => layer.Path))})");
    }

    private async Task StartAnewAsync(MergeLayer request, int index)
    {
        var layers = _layers.Chain.Layers;
        var file = FileStatus.Read(layers[index].Path, follow: false) is { IsRegular: true } status
            ? status.Identity
            : throw new GodwitException(ErrorCode.Unsupported, $"{layers[index].Path} is not a regular file", "name the layer by its own path");
        var merge = new WorkerMergeConfig(
            request.JobId, layers[index].Path, layers[index + 1].Path, index == 0 ? null : layers[index - 1].Path, file, request.BytesPerSecond, MergeState.Copying);
        (_problem, _last, _tried) = (null, default, null);
        Record(merge);
        Reached("recorded");
        try
        {
            await OpenTargetAsync(merge).ConfigureAwait(false);
            Reached("writable");
            Begin(merge);
        }
        catch
        {
            _context.Log.Warn($"{_context.Name}: the merge of {merge.Path} could not be started");
            Record(null);
            throw;
        }
    }

    private Task OpenTargetAsync(WorkerMergeConfig merge) =>
        merge.Above is null ? OpenLeafTargetAsync(merge) : _layers.RebuildAsync(null, merge.Target);

    /// <summary>Starts the copy; the target is open for writing.</summary>
    private void Begin(WorkerMergeConfig merge)
    {
        var index = Find(merge.Path);
        var chain = _layers.Chain;
        if (index + 1 >= chain.Layers.Count || chain.Layers[index + 1].Path != merge.Target)
            throw new GodwitException(ErrorCode.WrongState, $"{merge.Target} is not the parent of {merge.Path} any more");
        var running = new RunningMerge(
            options => index == 0 ? new LeafMerge(_passing!, options) : new LiveMerge(chain, index, options),
            new LiveMergeOptions
            {
                From = merge.CopiedTo,
                Limit = new RateLimit(merge.BytesPerSecond, _context.Time),
                Time = _context.Time,
                Guests = _guests,
                Fence = _layers.Fence,
                OnStable = index == 0 ? _ => Reached("copied-some") : end => NoteStable(merge.JobId, end),
            });
        _running = running;
        _context.Log.Note($"{_context.Name}: {merge.Path} is being merged into {merge.Target} for job {merge.JobId}");
    }

    private async Task BeginOrFailAsync(WorkerMergeConfig merge)
    {
        try
        {
            if (merge.Above is null)
                await PassOnAsync(merge).ConfigureAwait(false);
            Begin(merge);
        }
        catch (GodwitException e)
        {
            Fail(merge, e.Problem);
        }
    }

    private void NoteStable(Guid job, long end)
    {
        try
        {
            _context.Config.Update(
                _context.Name, entry => entry.Merge?.JobId == job ? entry with { Merge = entry.Merge with { CopiedTo = end } } : entry);
            Reached("copied-some");
        }
        catch (StorageException e)
        {
            // Less is known then, and copied again.
            _context.Log.Warn($"{_context.Name}: how far the merge is could not be recorded: {e.Message}");
        }
    }

    /// <summary>The next step; what cannot be done now is tried again later.</summary>
    private async Task AdvanceAsync(WorkerMergeConfig merge)
    {
        try
        {
            if (merge.State == MergeState.Copying)
                await EndCopyAsync(merge).ConfigureAwait(false);
            if (Merge is { State: MergeState.Finishing, Failure: null } copied)
                await FinishAsync(copied).ConfigureAwait(false);
            if (Merge is { State: MergeState.Removing, Failure: null } finished)
                await RemoveAsync(finished).ConfigureAwait(false);
            _problem = null;
        }
        catch (Exception e) when (Problems.TryOf(e) is not null)
        {
            _problem = Problems.TryOf(e);
            _context.Log.Warn($"{_context.Name}: the merge of {merge.Path} cannot go on now: {e.Message}");
            throw;
        }
    }

    private async Task EndCopyAsync(WorkerMergeConfig merge)
    {
        if (_running is not { } running)
        {
            // Its end or its beginning could not be recorded.
            await OpenTargetAsync(merge).ConfigureAwait(false);
            Begin(merge);
        }
        else if (running.Failure is { } failure)
        {
            await StopAndCloseTargetAsync().ConfigureAwait(false);
            Fail(merge, failure);
        }
        else if (merge.Above is null)
        {
            await SwitchAsync(merge).ConfigureAwait(false);
        }
        else
        {
            Record(merge with { State = MergeState.Finishing });
            await LeaveAsync(running).ConfigureAwait(false);
            Reached("copied");
        }
    }

    /// <summary>Takes the layer out of the chain. The chain is closed meanwhile and requests wait; it reads the same at every instant.</summary>
    private async Task FinishAsync(WorkerMergeConfig merge)
    {
        if (!FileStatus.Is(merge.Path, merge.File))
            throw new GodwitException(ErrorCode.NotFound, $"{merge.Path} is gone or was replaced while it was merged", "look after the chain with \"godwit disk info\"");
        await _layers.RebuildAsync(
            () => ChainMerge.SettleAsync(merge.Path, merge.Target, merge.Above!, Reached, CancellationToken.None).AsTask(), writable: null).ConfigureAwait(false);
        Reached("settled");
        Record(merge with { State = MergeState.Removing });
    }

    private async Task RemoveAsync(WorkerMergeConfig merge)
    {
        if (merge.Above is null)
            await _layers.Chain.DisownChildrenAsync().ConfigureAwait(false);
        if (FileStatus.Is(merge.Path, merge.File))
        {
            FileStatus.Remove(merge.Path);
            Reached("removed");
            LocalFolder.Sync(Path.GetDirectoryName(merge.Path)!);
        }
        else if (FileStatus.Read(merge.Path) is not null)
        {
            _context.Log.Warn($"{_context.Name}: {merge.Path} is not the file that was merged; left in place");
        }

        Record(merge with { State = MergeState.Merged });
        _context.Log.Note($"{_context.Name}: {merge.Path} is merged into {merge.Target}");
    }

    private async Task StopAndCloseTargetAsync()
    {
        if (_running is { } running)
        {
            await running.StopAsync().ConfigureAwait(false);
            await LeaveAsync(running).ConfigureAwait(false);
        }

        _passing = null;
        await _layers.RebuildAsync(null, writable: null).ConfigureAwait(false);
    }

    private ValueTask LeaveAsync(RunningMerge running)
    {
        _last = running.Progress;
        _running = null;
        return running.DisposeAsync();
    }

    private void Fail(WorkerMergeConfig merge, Problem reason)
    {
        _context.Log.Error($"{_context.Name}: the merge of {merge.Path} failed, the chain is as it was: {reason.Title}");
        Record(merge with { Failure = reason });
    }

    private void Record(WorkerMergeConfig? merge)
    {
        // How far the copy is may have been recorded since.
        _context.Config.Update(_context.Name, entry => entry with
        {
            Merge = merge is not null && entry.Merge?.JobId == merge.JobId ? merge with { CopiedTo = Math.Max(merge.CopiedTo, entry.Merge.CopiedTo) } : merge,
        });
    }

    private void Reached(string step) => PlantedDeath.At(_context.Folders, $"merge-{step}");

    private static void CheckRate(long? bytesPerSecond)
    {
        if (bytesPerSecond is <= 0)
            throw new GodwitException(ErrorCode.InvalidRequest, "the rate limit must be above zero bytes per second");
    }
}
