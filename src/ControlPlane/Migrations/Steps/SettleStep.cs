using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Says the truth about the result: it fails when a disk stayed behind.</summary>
internal sealed class SettleStep(StorageMove move) : MoveStep(move, StorageMovePhases.Finish, "Confirm the result")
{
    public override Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        foreach (var item in Move.Items)
        {
            if (context.GetFact(SwitchStep.StayedFact(item)) is { } reason)
            {
                throw new GodwitException(
                    ErrorCode.IoFailed, $"{item.Disk} stayed on '{item.Source}' while other disks moved: {reason}",
                    $"The VM runs. Move {item.Disk} again.");
            }
        }
        return Task.CompletedTask;
    }
}
