using Godwit.Api;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;

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
        SpecCheck.Check(vm.Settings, vm.Disks.Count);
        if (vm.Disks.DistinctBy(disk => disk.Name).Count() != vm.Disks.Count || vm.Disks.Any(disk => !IsDiskName(disk.Name)))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"VM '{vm.Name}' has two disks of one name, or a name that is none.");
        }
        foreach (var disk in vm.Disks)
        {
            RequireOwnPath(disk.Path);
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
            SpecCheck.Check(one.Settings!, one.Disks!.Count);
            Require(vm, one.Disks.All(disk => IsDiskName(disk.Name)), $"a disk of checkpoint '{one.Name}' has no name");
            foreach (var disk in one.Disks)
            {
                RequireOwnPath(disk.Path);
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

    private static bool IsDiskName(string? name) =>
        name is { Length: >= 1 and <= 24 } && char.IsAsciiLetter(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static bool IsOwnState(VirtualMachineRecord vm, string? file) =>
        file is not null && file.EndsWith(StateExtension, StringComparison.Ordinal)
        && Path.GetFullPath(file) == file && Path.GetDirectoryName(file) == Path.GetDirectoryName(vm.ConfigurationFile);

    private void RequireOwnPath(string? path)
    {
        if (path is null || folders.Resolve(path) is var resolved && resolved != path)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is not a disk's path without links and dots.");
        }
    }
}
