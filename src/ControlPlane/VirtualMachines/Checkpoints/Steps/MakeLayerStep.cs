using Godwit.Api.Disks;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Makes an empty image over one of the checkpoint's, under a name that only this job can have given.</summary>
internal sealed class MakeLayerStep(VirtualMachineParts parts, ApplyOrder order, Disk disk) : IJobStep
{
    public string Name => $"Make a new image for {disk.Name}";

    public string Phase => Checkpointing.Transfer;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var parent = Applying.CheckpointOf(Applying.VmOf(parts, order), order).PathOf(disk.Name)!;
        var file = UnfinishedFile.PathOf(disk.Path, context.JobId);
        // Left by a daemon that died here: how much of it is there nobody knows.
        parts.Folders.DeleteFile(file);
        await parts.Images.CreateChildAsync(parent, file, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        parts.Folders.DeleteFile(UnfinishedFile.PathOf(disk.Path, context.JobId));
        return Task.CompletedTask;
    }
}
