using Godwit.Api.Disks;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Makes a new disk under a name that only this job can have given.</summary>
internal sealed class CreateDiskStep(VirtualMachineParts parts, Disk disk) : IJobStep
{
    public string Name => $"Create {disk.Name}";

    public string Phase => "Prepare";

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var file = UnfinishedFile.PathOf(disk.Path, context.JobId);
        // Left by a daemon that died here: how much of it is there nobody knows.
        parts.Folders.DeleteFile(file);
        await parts.Images.CreateAsync(file, disk.Size, disk.Format, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        parts.Folders.DeleteFile(UnfinishedFile.PathOf(disk.Path, context.JobId));
        return Task.CompletedTask;
    }
}
