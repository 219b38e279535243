using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>The commit point: from here on the VM is what its file says, and its QEMU must never run again.</summary>
internal sealed class RecordSavedStep(Saving saving) : ICommitStep
{
    public string Name => "Record the saved state";

    public string Phase => Saving.Finish;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var saved = MemoryWriting.Describe(context, saving.Vm, saving.FileOf(context.JobId));
        saving.Parts.Vms.Change(saving.Vm.Id, vm => vm with { Saved = saved, Powered = false });
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken) =>
        Task.FromResult(saving.Vm.Saved?.File == saving.FileOf(context.JobId));
}
