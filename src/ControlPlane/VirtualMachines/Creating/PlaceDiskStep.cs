using Godwit.Api.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Gives a new disk its name, in no other file's place. When the unfinished one is gone, this step has done it.</summary>
internal sealed class PlaceDiskStep(VirtualMachineParts parts, Disk disk) : IJobStep
{
    public string Name => $"Put {disk.Name} in its place";

    public string Phase => "Prepare";

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var from = CreateDiskStep.UnfinishedPath(disk, context.JobId);
        if (parts.Folders.FileExists(from))
        {
            parts.Folders.Rename(from, disk.Path);
        }
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var from = CreateDiskStep.UnfinishedPath(disk, context.JobId);
        if (!parts.Folders.FileExists(from) && parts.Folders.FileExists(disk.Path))
        {
            parts.Folders.Rename(disk.Path, from);
        }
        return Task.CompletedTask;
    }
}
