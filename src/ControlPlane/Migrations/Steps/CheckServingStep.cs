using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Checks that the new files serve before any old one goes.</summary>
internal sealed class CheckServingStep(StorageMove move) : MoveStep(move, StorageMovePhases.Finish, "Check that the new files serve")
{
    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var status = await Move.AskAsync(context, new GetStatus(), cancellationToken).ConfigureAwait(false);
        foreach (var item in Move.Items.Where(item => context.GetFact(SwitchStep.StayedFact(item)) is null))
        {
            Require(Move, status, item);
        }
    }

    /// <summary>Throws unless the worker serves the disk from its target and the file is there.</summary>
    public static void Require(StorageMove move, WorkerStatus status, StorageMoveItem item)
    {
        var disk = StorageMove.Served(status, item);
        if (disk.Problem is { } problem)
        {
            throw new GodwitException(problem);
        }
        if (disk.Path != item.Target || !move.Parts.Folders.FileExists(item.Target))
        {
            throw new GodwitException(
                ErrorCode.IoFailed, $"{item.Disk} should be served from '{item.Target}', but is served from '{disk.Path}'.",
                $"Do not delete '{item.Source}'.");
        }
    }
}
