using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Makes sure the VM's disks are served; for a VM that is off this starts its worker without QEMU.</summary>
internal sealed class StartWorkerStep(StorageMove move) : MoveStep(move, StorageMovePhases.Prepare, "Start the disk worker")
{
    public override Task RunAsync(JobContext context, CancellationToken cancellationToken) =>
        Move.Parts.Workers.EnsureAsync(Move.Vm, cancellationToken);

    public override Task UndoAsync(JobContext context, CancellationToken cancellationToken) =>
        Move.ReleaseWorkerAsync(cancellationToken);
}
