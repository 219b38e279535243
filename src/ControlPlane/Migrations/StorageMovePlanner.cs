using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>Checks a storage move and lists what it will do. Everything that can be known beforehand is found here, before a
/// byte moves; nothing is changed.</summary>
/// <param name="parts">What the check looks at.</param>
internal sealed class StorageMovePlanner(VirtualMachineParts parts)
{
    /// <summary>The plan.</summary>
    /// <exception cref="GodwitException">The move cannot work; the problem says why.</exception>
    public async Task<StorageMovePlan> PlanAsync(
        VirtualMachineRecord vm, StorageMoveRequest request, CancellationToken cancellationToken)
    {
        if (vm.Checkpoints is { Count: > 0 })
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' has checkpoints, and disks of several images cannot be moved yet.",
                $"Remove the checkpoints and wait until they are merged: 'godwit checkpoint list \"{vm.Name}\"'.");
        }
        var disks = Choose(vm, request);
        var folder = parts.Folders.Resolve(request.Destination);
        CheckFolder(folder);
        var status = await StatusAsync(vm, cancellationToken).ConfigureAwait(false);
        var items = new List<StorageMoveItem>();
        foreach (var disk in disks)
        {
            items.Add(await ItemAsync(disk, folder, status, cancellationToken).ConfigureAwait(false));
        }
        CheckTargets(items);
        var available = parts.Folders.AvailableBytes(folder);
        var needed = items.Sum(item => item.AllocatedBytes);
        if (needed > available)
        {
            throw new GodwitException(
                ErrorCode.NoSpace, $"The move needs {needed} bytes in '{folder}', but only {available} are free.",
                "Free space there or choose another folder.");
        }
        return new StorageMovePlan(items, StorageMovePhases.All, available);
    }

    private static List<Disk> Choose(VirtualMachineRecord vm, StorageMoveRequest request)
    {
        if (request.BytesPerSecond is <= 0)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "The rate limit must be at least 1 byte per second.");
        }
        if (string.IsNullOrEmpty(request.Destination))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "The destination folder is missing.");
        }
        if (request.Disks is null)
        {
            return vm.Disks.Count > 0 ? [.. vm.Disks] : throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' has no disks to move.");
        }
        if (request.Disks.Count == 0 || request.Disks.Distinct(StringComparer.Ordinal).Count() != request.Disks.Count)
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, "The list of disks is empty or names a disk twice.", "Leave the list out to move all disks.");
        }
        return [.. request.Disks.Select(name => vm.Disks.FirstOrDefault(disk => disk.Name == name) ?? throw new GodwitException(
            ErrorCode.NotFound, $"VM '{vm.Name}' has no disk '{name}'.",
            "Its disks are: " + string.Join(", ", vm.Disks.Select(disk => disk.Name)) + "."))];
    }

    private void CheckFolder(string folder)
    {
        if (parts.Folders.FileExists(folder))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"The destination '{folder}' is a file, not a folder.");
        }
        if (!parts.Folders.IsWritable(folder))
        {
            throw new GodwitException(
                ErrorCode.AccessDenied, $"godwitd may not create files in '{folder}'.",
                "Change the folder's owner or mode, or choose another folder.");
        }
    }

    private async Task<WorkerStatus?> StatusAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (!await parts.Workers.IsSupervisedAsync(vm.Id, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }
        var reply = await parts.Workers.AskAsync(vm.Id, new GetStatus(), cancellationToken).ConfigureAwait(false);
        return reply.Problem is { } problem ? throw new GodwitException(problem) : reply.Status;
    }

    private async Task<StorageMoveItem> ItemAsync(
        Disk disk, string folder, WorkerStatus? status, CancellationToken cancellationToken)
    {
        var target = Path.Combine(folder, Path.GetFileName(disk.Path));
        if (parts.Folders.Resolve(disk.Path) == target)
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"{disk.Name} is already in '{folder}'.", "Choose another folder or leave the disk out.");
        }
        if (status is null)
        {
            var image = await parts.Images.DescribeAsync(disk.Path, cancellationToken).ConfigureAwait(false);
            return new StorageMoveItem(disk.Name, disk.Path, target, image.AllocatedBytes, image.Size);
        }
        var served = status.Disks.FirstOrDefault(one => one.Name == disk.Name) ?? throw new GodwitException(
            ErrorCode.Internal, $"The worker does not serve {disk.Name}.", "Stop the VM and start it again.");
        if (served.Problem is { } problem)
        {
            throw new GodwitException(problem);
        }
        if (served.Mirror is { } mirror)
        {
            throw new GodwitException(ErrorCode.Busy, $"{disk.Name} is still being mirrored to '{mirror.TargetPath}' (job {mirror.JobId}).");
        }
        return new StorageMoveItem(disk.Name, served.Path, target, served.AllocatedBytes, served.Size);
    }

    private void CheckTargets(List<StorageMoveItem> items)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (!seen.Add(item.Target))
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"Two of the disks have the file name '{Path.GetFileName(item.Target)}'.",
                    "Move them to different folders, one after the other.");
            }
            if (parts.Folders.FileExists(item.Target) || parts.Folders.FolderExists(item.Target))
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"'{item.Target}' exists already.", "Move it away or choose another folder.");
            }
        }
    }
}
