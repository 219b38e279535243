using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Disks;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The files that settings name.</summary>
/// <param name="folders">The file system.</param>
internal sealed class BootFiles(IFolders folders)
{
    /// <summary>The settings with links resolved.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>: a file, or the folder of the serial port's file, is not there;
    /// <see cref="ErrorCode.AccessDenied"/>: it is out of bounds.</exception>
    public VirtualMachineSettings Resolve(VirtualMachineSettings settings) => settings with
    {
        Kernel = BootFile(settings.Kernel, "kernel"),
        Initrd = BootFile(settings.Initrd, "initial RAM disk"),
        Serial = SerialFile(settings.Serial),
    };

    private string? BootFile(string? path, string what)
    {
        if (path is null)
        {
            return null;
        }
        var resolved = folders.ResolveBootFile(path);
        return folders.FileExists(resolved) ? resolved : throw new GodwitException(ErrorCode.NotFound, $"There is no {what} '{path}'.");
    }

    private string? SerialFile(string? path)
    {
        if (path is null)
        {
            return null;
        }
        var resolved = folders.Resolve(path);
        var folder = Path.GetDirectoryName(resolved) ?? "/";
        return folders.FolderExists(folder) ? resolved : throw new GodwitException(
            ErrorCode.NotFound, $"There is no folder '{folder}'.", "Create it first.");
    }
}
