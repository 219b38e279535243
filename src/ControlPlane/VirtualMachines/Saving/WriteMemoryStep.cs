using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Stops the vCPUs and writes memory and devices; taken back, the guest goes on as if nothing had been.</summary>
internal sealed class WriteMemoryStep(Saving saving) : IJobStep
{
    public string Name => "Write the memory";

    public string Phase => Saving.Transfer;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) =>
        saving.Memory.WriteAsync(context, saving.Vm, saving.FileOf(context.JobId), Phase, cancellationToken);

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) =>
        saving.Memory.TakeBackAsync(context, saving.Vm, saving.FileOf(context.JobId), cancellationToken);
}
