using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Removes the images and the saved state of the VM as it was.</summary>
internal sealed class RemoveLeftStep(VirtualMachineParts parts, ApplyOrder order) : IJobStep
{
    public string Name => "Remove what is left of it";

    public string Phase => Checkpointing.Finish;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var needed = Applying.VmOf(parts, order).Images.ToHashSet(StringComparer.Ordinal);
        foreach (var file in order.Left.Where(file => !needed.Contains(file)))
        {
            parts.Folders.DeleteFile(file);
        }
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
