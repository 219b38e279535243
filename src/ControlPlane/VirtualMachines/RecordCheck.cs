using Godwit.Api;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Godwit.ControlPlane.VirtualMachines.Drives;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Checks a record that comes from a file: somebody may have edited it, or made it up.</summary>
/// <param name="folders">The file system.</param>
internal sealed class RecordCheck(IFolders folders)
{
    private const string StateExtension = ".state";

    /// <exception cref="GodwitException">The record cannot be used; the problem says why.</exception>
    public void Check(VirtualMachineRecord vm)
    {
        SpecCheck.CheckName(vm.Name);
        if (vm.Generation is not (1 or 2) || vm.DvdDrives?.Any(drive => drive is null) == true)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"VM '{vm.Name}' has generation {vm.Generation}, or a DVD drive that is none.");
        }
        SpecCheck.Check(vm.Settings, vm);
        var drives = vm.Drives.ToList();
        if (drives.Distinct().Count() != drives.Count || drives.Exists(name => !IsDriveName(name)))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"VM '{vm.Name}' has two drives of one name, or a name that is none.");
        }
        DrivePlaces.Of(vm);
        string?[] paths = [.. vm.Disks.Select(disk => disk.Path ?? ""), .. (vm.DvdDrives ?? []).Select(drive => drive.Path), vm.FirmwareVariables];
        foreach (var path in paths.OfType<string>())
        {
            RequireOwnPath(path);
        }
        new BootFiles(folders).Resolve(vm.Settings);
        CheckCheckpoints(vm);
        if (vm.Saved is { } saved && !IsOwnState(vm, saved.File))
        {
            // The file of a used state is deleted: it must be the VM's own.
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"The saved state '{saved.File}' of VM '{vm.Name}' is not in the VM's folder.",
                "Take \"saved\" out of the file, or put it right.");
        }
    }

    private void CheckCheckpoints(VirtualMachineRecord vm)
    {
        var all = vm.Checkpoints ?? [];
        Require(vm, all.Count <= CheckpointPlanner.Most && all.DistinctBy(one => one.Id).Count() == all.Count, "too many checkpoints, or two of one id");
        Require(vm, vm.CurrentCheckpoint is not { } now || all.Any(one => one.Id == now), "it began from a checkpoint that is not there");
        foreach (var one in all)
        {
            CheckpointPlanner.CheckName(one.Name);
            Require(vm, one.Disks is not null && one.Settings is not null && Enum.IsDefined(one.Type), $"checkpoint '{one.Name}' is not whole");
            var then = vm with { Disks = one.Disks!, DvdDrives = one.DvdDrives };
            Require(vm, one.DvdDrives?.Any(drive => drive is null) != true && then.Drives.All(IsDriveName), $"a drive of checkpoint '{one.Name}' has no name");
            SpecCheck.Check(one.Settings!, then);
            DrivePlaces.Of(then);
            foreach (var path in one.Disks!.Select(disk => disk.Path ?? "").Concat((one.DvdDrives ?? []).Select(drive => drive.Path).OfType<string>()))
            {
                RequireOwnPath(path);
            }
            // Both are followed without end if they lead in a circle; and the file of a removed checkpoint is deleted.
            Require(vm, HasRoot(all, one), $"the parents of checkpoint '{one.Name}' lead nowhere");
            Require(vm, one.Saved is null || one.Saved.File == CheckpointFiles.MemoryOf(vm, one.Id), $"the memory of checkpoint '{one.Name}' is not in the VM's folder");
        }
    }

    private static bool HasRoot(IReadOnlyList<CheckpointRecord> all, CheckpointRecord one)
    {
        var at = one;
        for (var i = 0; i <= all.Count; i++)
        {
            if (at.Parent is not { } parent)
            {
                return true;
            }
            if (all.FirstOrDefault(other => other.Id == parent) is not { } next)
            {
                return false;
            }
            at = next;
        }
        return false;
    }

    private static void Require(VirtualMachineRecord vm, bool kept, string otherwise)
    {
        if (!kept)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"The record of VM '{vm.Name}' cannot be used: {otherwise}.", "Put the file right.");
        }
    }

    private static bool IsDriveName(string? name) =>
        name is { Length: >= 1 and <= 24 } && char.IsAsciiLetter(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static bool IsOwnState(VirtualMachineRecord vm, string? file) =>
        file is not null && file.EndsWith(StateExtension, StringComparison.Ordinal)
        && Path.GetFullPath(file) == file && Path.GetDirectoryName(file) == Path.GetDirectoryName(vm.ConfigurationFile);

    private void RequireOwnPath(string path)
    {
        if (path.Length == 0 || folders.Resolve(path) != path)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is not the path of a disk, a disc or firmware variables without links and dots.");
        }
    }
}
