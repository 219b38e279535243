using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Stops the vCPUs and writes memory and devices; taken back, the guest goes on as if nothing had been.</summary>
internal sealed class WriteMemoryStep(Saving saving) : IJobStep
{
    public string Name => "Write the memory";

    public string Phase => Saving.Transfer;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken) =>
        saving.Memory.WriteAsync(context, saving.Vm, saving.FileOf(context.JobId), Phase, cancellationToken);

    public async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        // QEMU writes no more when this returns.
        await saving.Parts.Runtime.CancelSaveAsync(saving.Vm, cancellationToken).ConfigureAwait(false);
        saving.Parts.Folders.DeleteFile(saving.FileOf(context.JobId));
        await saving.Memory.LetGoAsync(context, saving.Vm, cancellationToken).ConfigureAwait(false);
    }
}
