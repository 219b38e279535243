using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines.Drives;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Checks what is asked for and says what the VM will be; nothing is changed.</summary>
internal sealed class CreationPlanner(VirtualMachineParts parts)
{
    private readonly VirtualMachineStore _vms = parts.Vms;
    private readonly IFolders _folders = parts.Folders;
    private readonly DiscImages _discs = new(parts);

    /// <exception cref="GodwitException">The VM cannot be created; the problem says why.</exception>
    public async Task<CreateOrder> PlanAsync(VirtualMachineSpec spec, CancellationToken cancellationToken)
    {
        SpecCheck.Check(spec);
        if (spec.Generation == 2)
        {
            // Without firmware it could never be started: better said now.
            parts.Runtime.NewFirmwareVariables();
        }
        var record = await CheckAsync(spec, cancellationToken).ConfigureAwait(false);
        var fresh = record.Disks.Zip(spec.Disks).Where(pair => pair.Second.Size is not null).Select(pair => pair.First);
        return new CreateOrder(record, [.. fresh.Select(disk => disk.Name)]);
    }

    private async Task<VirtualMachineRecord> CheckAsync(VirtualMachineSpec spec, CancellationToken cancellationToken)
    {
        if (_vms.Find(spec.Name) is not null)
        {
            throw new GodwitException(ErrorCode.AlreadyExists, $"There is a VM named '{spec.Name}' already.", "Choose another name.");
        }
        var taken = _vms.List().SelectMany(vm => vm.Images.Select(path => (Path: path, vm.Name)))
            .ToDictionary(pair => pair.Path, pair => pair.Name, StringComparer.Ordinal);
        var places = new DrivePlaces(spec.Generation);
        var where = PlacesOf(spec, places);
        var disks = new List<Disk>();
        foreach (var disk in spec.Disks)
        {
            var path = _folders.Resolve(disk.Path);
            if (!taken.TryAdd(path, spec.Name))
            {
                throw new GodwitException(ErrorCode.Busy, $"'{path}' is already a disk of VM '{taken[path]}'.");
            }
            var place = where[disks.Count];
            var found = await CheckDiskAsync($"disk{disks.Count}", path, disk, cancellationToken).ConfigureAwait(false);
            disks.Add(found with { ControllerType = place.Type, ControllerNumber = place.Number, ControllerLocation = place.Location });
        }
        var discs = await DrivesAsync(spec, where, cancellationToken).ConfigureAwait(false);
        SpecCheck.CheckBootOrder(spec.Settings.BootOrder, disks.Select(disk => disk.Name).Concat(discs.Select(drive => drive.Name)));
        var settings = new NetworkCheck(_vms).Resolve(new BootFiles(_folders).Resolve(spec.Settings), except: null);
        return new VirtualMachineRecord(
            NewId(), spec.Name, settings, disks, FolderOf(spec), spec.Generation, discs.Count == 0 ? null : discs, places.ScsiControllers)
        { Revision = 1 };
    }

    /// <summary>Places of the disks, then of the DVD drives. Those that somebody asked for come first: nobody else is put there.</summary>
    private static DrivePlace[] PlacesOf(VirtualMachineSpec spec, DrivePlaces places)
    {
        var drives = spec.DvdDrives ?? [];
        var found = new DrivePlace[spec.Disks.Count + drives.Count];
        foreach (var asked in (bool[])[true, false])
        {
            for (var i = 0; i < found.Length; i++)
            {
                var (number, location) = i < spec.Disks.Count
                    ? (spec.Disks[i].ControllerNumber, spec.Disks[i].ControllerLocation)
                    : (drives[i - spec.Disks.Count].ControllerNumber, drives[i - spec.Disks.Count].ControllerLocation);
                if ((number is not null && location is not null) == asked)
                {
                    found[i] = i < spec.Disks.Count ? places.PlaceDisk(spec.Disks[i]) : places.PlaceDvd(drives[i - spec.Disks.Count]);
                }
            }
        }
        return found;
    }

    private async Task<List<DvdDrive>> DrivesAsync(VirtualMachineSpec spec, DrivePlace[] where, CancellationToken cancellationToken)
    {
        var drives = new List<DvdDrive>();
        foreach (var drive in spec.DvdDrives ?? [])
        {
            var place = where[spec.Disks.Count + drives.Count];
            var path = drive.Path is null ? null : await _discs.CheckAsync(drive.Path, cancellationToken).ConfigureAwait(false);
            drives.Add(new DvdDrive($"dvd{drives.Count}", place.Type, place.Number, place.Location, path));
        }
        return drives;
    }

    /// <summary>A folder of the VM's own. Its name stays when the VM gets another one, as with Hyper-V.</summary>
    private string FolderOf(VirtualMachineSpec spec)
    {
        var above = spec.Path is null ? parts.MachineFolder : _folders.Resolve(spec.Path);
        var folder = Path.Combine(above, spec.Name);
        if (_vms.List().Any(vm => vm.Path == folder))
        {
            folder = Path.Combine(above, $"{spec.Name} {Guid.NewGuid().ToString("N")[..8]}");
        }
        if (!_folders.IsWritable(above))
        {
            throw new GodwitException(ErrorCode.AccessDenied, $"Nothing can be written to '{above}'.", "Choose another folder with --path.");
        }
        return folder;
    }

    /// <summary>The first eight digits are unique too: they name the VM's folder of sockets, whose paths must be short.</summary>
    private Guid NewId()
    {
        var taken = _vms.List().Select(vm => vm.Id.ToString("N")[..8]).ToHashSet(StringComparer.Ordinal);
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
            if (_folders.FileExists(path) || _folders.FolderExists(path))
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"'{path}' exists already.", "Leave the size out to use it, or choose another path.");
            }
            RequireFolderOf(path);
            return new Disk(name, path, disk.Format ?? DiskFileNames.FormatFor(path), size, disk.Cache);
        }
        if (!_folders.FileExists(path))
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no file '{path}'.", "Give a size to create the disk.");
        }
        var found = await parts.Images.DescribeAsync(path, cancellationToken).ConfigureAwait(false);
        if (disk.Format is { } wanted && wanted != found.Format)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is {found.Format}, not {wanted}.", "Leave the format out to detect it.");
        }
        return new Disk(name, path, found.Format, found.Size, disk.Cache);
    }

    private void RequireFolderOf(string path)
    {
        var folder = Path.GetDirectoryName(path) ?? "/";
        if (!_folders.FolderExists(folder))
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no folder '{folder}'.", "Create it first.");
        }
    }
}
