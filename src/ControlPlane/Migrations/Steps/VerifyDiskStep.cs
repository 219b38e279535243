using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Waits until the worker has read back and compared both sides of a disk.</summary>
internal sealed class VerifyDiskStep(StorageMove move, StorageMoveItem item)
    : MoveStep(move, StorageMovePhases.InSync, $"Verify {item.Disk}")
{
    public override Task RunAsync(JobContext context, CancellationToken cancellationToken) =>
        WaitAsync(Move, item, context, Timeout.InfiniteTimeSpan, cancellationToken);

    /// <summary>Waits for the disk to be verified (or switched). A mirror may fall back to copying when its target slows
    /// down: that is waited out too, up to <paramref name="limit"/>.</summary>
    public static async Task WaitAsync(
        StorageMove move, StorageMoveItem item, JobContext context, TimeSpan limit, CancellationToken cancellationToken)
    {
        var since = context.Time.GetTimestamp();
        while (true)
        {
            var status = await move.AskAsync(context, new GetStatus(), cancellationToken).ConfigureAwait(false);
            move.Progress.Report(context, StorageMovePhases.InSync, status);
            if (StorageMove.IsSwitched(status, item, context.JobId))
            {
                return;
            }
            var mirror = StorageMove.Mirror(status, item, context.JobId) ?? throw new GodwitException(
                ErrorCode.IoFailed, $"The worker no longer mirrors {item.Disk}.", "Start the move again.");
            if (mirror.State == MirrorState.Verified)
            {
                return;
            }
            if (mirror.State == MirrorState.Failed)
            {
                throw CopyDiskStep.Failure(mirror, item);
            }
            if (limit != Timeout.InfiniteTimeSpan && context.Time.GetElapsedTime(since) > limit)
            {
                throw new GodwitException(
                    ErrorCode.Unavailable, $"{item.Disk} did not stay in sync: the target is too slow for the guest's writes.",
                    "Move at a quieter time or to a faster target.");
            }
            await Task.Delay(StorageMove.PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
        }
    }
}
