using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Mirrors one disk until both sides hold the same bytes. Disks are copied one after the other, so the rate limit
/// holds for the whole move and a spinning target is written in one stream.</summary>
internal sealed class CopyDiskStep(StorageMove move, StorageMoveItem item)
    : MoveStep(move, StorageMovePhases.Copy, $"Copy {item.Disk}")
{
    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        WorkerRequest start = new StartMirror(item.Disk, context.JobId, item.Target, Move.Request.BytesPerSecond);
        var status = await Move.AskAsync(context, start, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            Move.Progress.Report(context, Phase, status);
            var mirror = StorageMove.Mirror(status, item, context.JobId);
            if (mirror is not null && IsThrough(mirror, item))
            {
                return;
            }
            await Task.Delay(StorageMove.PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
            // A worker that lost the mirror (its host was rebooted) is asked to start it again.
            status = await Move.AskAsync(context, mirror is null ? start : new GetStatus(), cancellationToken).ConfigureAwait(false);
        }
    }

    public override async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var status = await Move.AskAsync(context, new GetStatus(), TimeSpan.FromSeconds(20), cancellationToken).ConfigureAwait(false);
        if (StorageMove.IsSwitched(status, item, context.JobId))
        {
            throw new GodwitException(ErrorCode.WrongState, $"{item.Disk} already runs from '{item.Target}'.");
        }
        if (StorageMove.Mirror(status, item, context.JobId) is not null)
        {
            await Move.AskAsync(context, new CancelMirror(item.Disk, context.JobId), cancellationToken).ConfigureAwait(false);
        }
        // Left when the worker died between creating the file and noting it.
        var unfinished = UnfinishedFile.PathOf(item.Target, context.JobId);
        if (Move.Parts.Folders.FileExists(unfinished))
        {
            Move.Parts.Folders.DeleteFile(unfinished);
        }
    }

    private static bool IsThrough(MirrorStatus mirror, StorageMoveItem item) => mirror.State switch
    {
        MirrorState.Copying => false,
        MirrorState.Failed => throw Failure(mirror, item),
        _ => true,
    };

    /// <summary>Why the target failed, and that the VM goes on.</summary>
    public static GodwitException Failure(MirrorStatus mirror, StorageMoveItem item)
    {
        var cause = mirror.Problem ?? new Problem(ErrorCode.IoFailed, "The target failed.");
        var remedy = $"The VM goes on with '{item.Source}'. " + (cause.Remedy ?? "Look at the target, then move again.");
        return new GodwitException(cause with { Title = $"Copying {item.Disk} failed: {cause.Title}", Remedy = remedy });
    }
}
