using Godwit.Api;
using Godwit.ControlPlane.Disks;
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
        if (vm.Saved is { } saved && !IsOwnState(vm, saved.File))
        {
            // The file of a used state is deleted: it must be the VM's own.
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"The saved state '{saved.File}' of VM '{vm.Name}' is not in the VM's folder.",
                "Take \"saved\" out of the file, or put it right.");
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
