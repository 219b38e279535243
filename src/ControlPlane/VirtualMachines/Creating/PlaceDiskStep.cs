using Godwit.Api.Disks;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Gives a new disk its name, in no other file's place. When the unfinished one is gone, this step has done it.</summary>
internal sealed class PlaceDiskStep(VirtualMachineParts parts, Disk disk) : IJobStep
{
    public string Name => $"Put {disk.Name} in its place";

    public string Phase => "Prepare";

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var from = UnfinishedFile.PathOf(disk.Path, context.JobId);
        if (parts.Folders.FileExists(from))
        {
            parts.Folders.Rename(from, disk.Path);
        }
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var from = UnfinishedFile.PathOf(disk.Path, context.JobId);
        if (!parts.Folders.FileExists(from) && parts.Folders.FileExists(disk.Path))
        {
            parts.Folders.Rename(disk.Path, from);
        }
        return Task.CompletedTask;
    }
}
