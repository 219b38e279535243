using System.Text;
using Godwit.Api;
using Godwit.Api.Disks;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Where the files of checkpoints are and what they are called.</summary>
internal static class CheckpointFiles
{
    /// <summary>Name of the folder, below a VM's own, that holds the memory of its checkpoints.</summary>
    public const string Folder = "Snapshots";

    private const int LongestName = 255;
    private const string StateExtension = ".state";

    /// <summary>Where the memory of a checkpoint is.</summary>
    public static string MemoryOf(VirtualMachineRecord vm, Guid checkpoint) => Path.Combine(vm.Path, Folder, checkpoint.ToString("D") + StateExtension);

    /// <summary>Where the next image of a disk goes: beside the one that becomes its parent, under its name with an id of its own.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unsupported"/>: the format knows no parents;
    /// <see cref="ErrorCode.InvalidRequest"/>: the name would be too long.</exception>
    public static string LayerOver(Disk disk, Guid id)
    {
        var extension = disk.Format switch
        {
            DiskFormat.VhdxFixed or DiskFormat.VhdxDynamic or DiskFormat.VhdxDifferencing => ".avhdx",
            DiskFormat.VhdFixed or DiskFormat.VhdDynamic or DiskFormat.VhdDifferencing => ".avhd",
            _ => throw new GodwitException(
                ErrorCode.Unsupported, $"{disk.Name} ('{disk.Path}') is {disk.Format}, which cannot be the parent of another image.",
                "Convert it with 'godwit disk convert' first."),
        };
        var name = $"{BareName(disk.Path)}_{id.ToString("D").ToUpperInvariant()}{extension}";
        if (Encoding.UTF8.GetByteCount(name) > LongestName)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"The name of '{disk.Path}' is too long: '{name}' has more than {LongestName} bytes.", "Rename the file.");
        }
        return Path.Combine(Path.GetDirectoryName(disk.Path)!, name);
    }

    /// <summary>The name without extension and without the id that a former checkpoint has added.</summary>
    private static string BareName(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        var at = name.LastIndexOf('_');
        return at > 0 && Guid.TryParseExact(name[(at + 1)..], "D", out _) ? name[..at] : name;
    }
}
