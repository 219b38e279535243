using Godwit.Api;
using Godwit.ControlPlane.Disks;

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
        if (vm.Saved is { } saved && !IsOwnState(vm, saved.File))
        {
            // The file of a used state is deleted: it must be the VM's own.
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"The saved state '{saved.File}' of VM '{vm.Name}' is not in the VM's folder.",
                "Take \"saved\" out of the file, or put it right.");
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
