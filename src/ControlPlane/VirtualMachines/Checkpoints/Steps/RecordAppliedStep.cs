using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Removing;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>The commit point: the record says from here on which images, settings and memory the VM has. The next worker starts from it.</summary>
internal sealed class RecordAppliedStep(VirtualMachineParts parts, ApplyOrder order) : ICommitStep
{
    public string Name => "Record the VM as it was";

    public string Phase => Checkpointing.Finish;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        using var passage = await parts.Gates.EnterAsync(order.Vm, cancellationToken).ConfigureAwait(false);
        var vm = Applying.VmOf(parts, order);
        if (IsRecorded(vm))
        {
            return;
        }
        // Somebody may have started it since, and its worker writes what it knows of the disks.
        await EndProcessesStep.RequireOffAsync(parts, vm, cancellationToken).ConfigureAwait(false);
        await parts.Workers.StopAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        var checkpoint = Applying.CheckpointOf(vm, order);
        parts.Vms.Change(order.Vm, now => now with
        {
            Settings = checkpoint.Settings,
            Disks = order.Disks,
            DvdDrives = checkpoint.DvdDrives,
            CurrentCheckpoint = checkpoint.Id,
            Saved = checkpoint.Saved is { } saved ? saved with { File = Saving.Saving.FileOf(now, context.JobId), Used = false } : null,
            Powered = false,
            CriticalSince = null,
            DiskGeneration = now.DiskGeneration + 1,
        });
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken) =>
        Task.FromResult(IsRecorded(Applying.VmOf(parts, order)));

    private bool IsRecorded(VirtualMachineRecord vm) => vm.Disks.Any(disk => disk.Path == order.Disks[0].Path);
}
