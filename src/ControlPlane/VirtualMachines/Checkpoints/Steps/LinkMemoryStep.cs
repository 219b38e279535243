using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Gives the checkpoint's memory a second name, under which the VM is saved: it is used once, the checkpoint stays.</summary>
internal sealed class LinkMemoryStep(VirtualMachineParts parts, ApplyOrder order) : IJobStep
{
    public string Name => "Bring its memory";

    public string Phase => Checkpointing.Transfer;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = Applying.VmOf(parts, order);
        var file = Saving.Saving.FileOf(vm, context.JobId);
        if (Applying.CheckpointOf(vm, order).Saved is { } saved && !parts.Folders.FileExists(file))
        {
            parts.Folders.Create(Path.GetDirectoryName(file)!);
            parts.Folders.Link(saved.File, file);
        }
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        parts.Folders.DeleteFile(Saving.Saving.FileOf(Applying.VmOf(parts, order), context.JobId));
        return Task.CompletedTask;
    }
}
