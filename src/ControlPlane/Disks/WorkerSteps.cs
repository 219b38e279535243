using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Disks;

/// <summary>Makes sure that the VM's disks are served; of a VM that is off by a worker without QEMU.</summary>
internal sealed class StartWorkerStep(JobWorker worker, string phase) : IJobStep
{
    public string Name => "Start the disk worker";

    public string Phase => phase;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) => worker.EnsureAsync(cancellationToken);

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => worker.ReleaseAsync(cancellationToken);
}

/// <summary>Stops the worker of a VM that is off.</summary>
internal sealed class ReleaseWorkerStep(JobWorker worker, string phase) : IJobStep
{
    public string Name => "Release the disk worker";

    public string Phase => phase;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) => worker.ReleaseAsync(cancellationToken);

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
