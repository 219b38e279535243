using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Stops the worker of a VM that is off.</summary>
internal sealed class ReleaseWorkerStep(StorageMove move) : MoveStep(move, StorageMovePhases.Finish, "Release the disk worker")
{
    public override Task RunAsync(JobContext context, CancellationToken cancellationToken) =>
        Move.ReleaseWorkerAsync(cancellationToken);
}
