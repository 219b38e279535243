using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Merges of images that a worker serves, the guest's own included.</summary>
internal sealed class ServedMerge(JobWorker worker)
{
    /// <summary>Merges a layer into the one below it; returns when its file is gone. Fine when that has been done.</summary>
    /// <exception cref="GodwitException">It failed; the chain is as it was.</exception>
    public async Task RunAsync(JobContext context, string disk, string layer, string target, CancellationToken cancellationToken)
    {
        var status = await AskAsync(context, new GetStatus(), disk, cancellationToken).ConfigureAwait(false);
        if (status.Merge is { } other && other.JobId != context.JobId)
        {
            // Of a job that has ended: had it not been at its end, this one could not have begun.
            await AskAsync(context, new ForgetMerge(disk, other.JobId), disk, cancellationToken).ConfigureAwait(false);
        }
        if (IsBeneath(status, layer, target))
        {
            status = await AskAsync(context, new MergeLayer(context.JobId, disk, layer), disk, cancellationToken).ConfigureAwait(false);
        }
        while (status.Merge is { } merge && merge.JobId == context.JobId && merge.State != MergeState.Merged)
        {
            context.Report(Checkpointing.Transfer, (merge.BytesDone, merge.BytesTotal), (merge.BytesDone, Math.Max(merge.BytesTotal, 1)), (1, 99));
            await RequireAliveAsync(context, disk, merge, cancellationToken).ConfigureAwait(false);
            await Task.Delay(JobWorker.PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
            status = await AskAsync(context, new GetStatus(), disk, cancellationToken).ConfigureAwait(false);
        }
        RequireMerged(status, layer, target);
        await AskAsync(context, new ForgetMerge(disk, context.JobId), disk, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops this job's merge; the name of the disk where that is too late.</summary>
    public async Task<string?> CancelAsync(JobContext context, CancellationToken cancellationToken)
    {
        var status = await worker.AskAsync(context, new GetStatus(), cancellationToken).ConfigureAwait(false);
        foreach (var disk in status.Disks.Where(disk => disk.Merge?.JobId == context.JobId))
        {
            if (disk.Merge is { State: MergeState.Finishing or MergeState.Removing or MergeState.Merged, Problem: null })
            {
                return disk.Name;
            }
            try
            {
                await worker.AskAsync(context, new CancelMerge(disk.Name, context.JobId), cancellationToken).ConfigureAwait(false);
            }
            catch (GodwitException e) when (e.Problem.Code == ErrorCode.WrongState)
            {
                return disk.Name;
            }
        }
        return null;
    }

    /// <summary>The record follows what is seen: a disk whose images nobody can say must not be taken for one that is merged.</summary>
    private static void RequireMerged(WorkerDiskStatus status, string layer, string target)
    {
        if (status.Problem is { } problem)
        {
            throw new GodwitException(problem);
        }
        if (status.Layers is not { } layers || layers.Contains(layer) || !layers.Contains(target))
        {
            throw new GodwitException(ErrorCode.IoFailed, $"'{layer}' could not be merged into '{target}': the worker does not say why.", "Try again: 'godwit checkpoint merge'.");
        }
    }

    private static bool IsBeneath(WorkerDiskStatus status, string layer, string target)
    {
        var layers = status.Layers ?? [];
        var at = layers.ToList().IndexOf(layer);
        return at >= 0 && at + 1 < layers.Count && layers[at + 1] == target;
    }

    private async Task RequireAliveAsync(JobContext context, string disk, MergeStatus merge, CancellationToken cancellationToken)
    {
        if (merge.State == MergeState.Failed)
        {
            await worker.AskAsync(context, new ForgetMerge(disk, context.JobId), cancellationToken).ConfigureAwait(false);
            var cause = merge.Problem ?? new Problem(ErrorCode.IoFailed, "The images could not be merged.");
            throw new GodwitException(cause with { Remedy = (cause.Remedy is null ? "" : cause.Remedy + " ") + "Nothing is lost; try again with 'godwit checkpoint merge'." });
        }
    }

    private async Task<WorkerDiskStatus> AskAsync(JobContext context, WorkerRequest request, string disk, CancellationToken cancellationToken) =>
        JobWorker.Served(await worker.AskAsync(context, request, cancellationToken).ConfigureAwait(false), disk);
}
