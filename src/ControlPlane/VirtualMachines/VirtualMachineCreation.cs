using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Ownership;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Defines VMs: checks everything first, then creates disks, then the record; what was created goes when a later
/// part fails.</summary>
internal sealed class VirtualMachineCreation(
    VirtualMachineStore vms, IImages images, IFolders folders, IOwnershipStore ownership, string hostId)
{
    private readonly VirtualMachineGates _one = new();

    public async Task<VirtualMachineRecord> CreateAsync(VirtualMachineSpec spec, CancellationToken cancellationToken)
    {
        SpecCheck.Check(spec);
        // One at a time: two requests for the same name or file must not both pass the checks.
        using var passage = await _one.EnterAsync(Guid.Empty, cancellationToken).ConfigureAwait(false);
        var created = new List<string>();
        try
        {
            var record = await CheckAsync(spec, cancellationToken).ConfigureAwait(false);
            foreach (var (disk, asked) in record.Disks.Zip(spec.Disks).Where(pair => pair.Second.Size is not null))
            {
                await images.CreateAsync(disk.Path, disk.Size, disk.Format, cancellationToken).ConfigureAwait(false);
                created.Add(disk.Path);
            }
            await RecordAsync(record, cancellationToken).ConfigureAwait(false);
            return record;
        }
        catch
        {
            created.ForEach(folders.DeleteFile);
            throw;
        }
    }

    private async Task RecordAsync(VirtualMachineRecord record, CancellationToken cancellationToken)
    {
        var owner = new OwnershipRecord(record.Id, hostId, 1, OwnershipPhase.Settled);
        await ownership.TryCreateAsync(owner, cancellationToken).ConfigureAwait(false);
        try
        {
            vms.Add(record);
        }
        catch
        {
            await ownership.TryDeleteAsync(owner, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private async Task<VirtualMachineRecord> CheckAsync(VirtualMachineSpec spec, CancellationToken cancellationToken)
    {
        if (vms.Find(spec.Name) is not null)
        {
            throw new GodwitException(ErrorCode.AlreadyExists, $"There is a VM named '{spec.Name}' already.", "Choose another name.");
        }
        var taken = vms.List().SelectMany(vm => vm.Disks.Select(disk => (disk.Path, vm.Name)))
            .ToDictionary(pair => pair.Path, pair => pair.Name, StringComparer.Ordinal);
        var disks = new List<Disk>();
        foreach (var disk in spec.Disks)
        {
            var path = folders.Resolve(disk.Path);
            if (!taken.TryAdd(path, spec.Name))
            {
                throw new GodwitException(ErrorCode.Busy, $"'{path}' is already a disk of VM '{taken[path]}'.");
            }
            disks.Add(await CheckDiskAsync($"disk{disks.Count}", path, disk, cancellationToken).ConfigureAwait(false));
        }
        return new VirtualMachineRecord(
            NewId(), spec.Name, spec.Memory, spec.Cpus, disks, BootFile(spec.Kernel, "kernel"),
            BootFile(spec.Initrd, "initial RAM disk"), spec.Append, SerialFile(spec.Serial));
    }

    /// <summary>The first eight digits are unique too: they name the VM's folder of sockets, whose paths must be short.</summary>
    private Guid NewId()
    {
        var taken = vms.List().Select(vm => vm.Id.ToString("N")[..8]).ToHashSet(StringComparer.Ordinal);
        while (true)
        {
            var id = Guid.NewGuid();
            if (!taken.Contains(id.ToString("N")[..8]))
            {
                return id;
            }
        }
    }

    private async Task<Disk> CheckDiskAsync(string name, string path, DiskSpec disk, CancellationToken cancellationToken)
    {
        if (disk.Size is { } size)
        {
            if (folders.FileExists(path) || folders.FolderExists(path))
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"'{path}' exists already.", "Leave the size out to use it, or choose another path.");
            }
            RequireFolderOf(path);
            return new Disk(name, path, disk.Format ?? DiskFileNames.FormatFor(path), size, disk.Cache);
        }
        if (!folders.FileExists(path))
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no file '{path}'.", "Give a size to create the disk.");
        }
        var found = await images.DescribeAsync(path, cancellationToken).ConfigureAwait(false);
        if (disk.Format is { } wanted && wanted != found.Format)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is {found.Format}, not {wanted}.", "Leave the format out to detect it.");
        }
        return new Disk(name, path, found.Format, found.Size, disk.Cache);
    }

    private string? BootFile(string? path, string what)
    {
        if (path is null)
        {
            return null;
        }
        var resolved = folders.ResolveBootFile(path);
        return folders.FileExists(resolved) ? resolved : throw new GodwitException(
            ErrorCode.NotFound, $"There is no {what} '{path}'.");
    }

    private string? SerialFile(string? path)
    {
        if (path is null)
        {
            return null;
        }
        var resolved = folders.Resolve(path);
        RequireFolderOf(resolved);
        return resolved;
    }

    private void RequireFolderOf(string path)
    {
        var folder = Path.GetDirectoryName(path) ?? "/";
        if (!folders.FolderExists(folder))
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no folder '{folder}'.", "Create it first.");
        }
    }
}
