using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Makes sure that the VM's disks are served; of a VM that is off by a worker without QEMU.</summary>
internal sealed class StartWorkerStep(VirtualMachineParts parts, JobWorker worker) : IJobStep
{
    public string Name => "Start the disk worker";

    public string Phase => Checkpointing.Validate;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) => parts.Workers.EnsureAsync(worker.Vm, cancellationToken);

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => worker.ReleaseAsync(cancellationToken);
}

/// <summary>Stops the worker of a VM that is off.</summary>
internal sealed class ReleaseWorkerStep(JobWorker worker) : IJobStep
{
    public string Name => "Release the disk worker";

    public string Phase => Checkpointing.Finish;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) => worker.ReleaseAsync(cancellationToken);

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
