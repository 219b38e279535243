using System.Text.Json;
using Godwit.Api;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The readable file beside each VM that holds its record: the host's store can be made again from these files.</summary>
/// <param name="folders">The file system.</param>
internal sealed class ConfigurationFiles(IFolders folders)
{
    /// <summary>Name of the folder, below a VM's own, that holds its configuration and saved state.</summary>
    public const string Folder = "Virtual Machines";

    private const int Version = 1;
    private const string Extension = ".json";

    /// <summary>Where the record of a VM is kept.</summary>
    public static string Of(string path, Guid id) => Path.Combine(path, Folder, id.ToString("D") + Extension);

    /// <summary>Where the variables of a VM's UEFI firmware are kept.</summary>
    public static string FirmwareVariablesOf(string path, Guid id) => Path.Combine(path, Folder, id.ToString("D") + ".vars.fd");

    /// <summary>Writes the record; durable when this returns.</summary>
    public void Write(VirtualMachineRecord vm)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(new VirtualMachineFile(Version, vm.Lasting), ConfigurationJson.Default.VirtualMachineFile);
        folders.Write(vm.ConfigurationFile, content);
    }

    /// <summary>Reads a record; null when there is no such file.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Corrupt"/>: the file is no configuration of a VM;
    /// <see cref="ErrorCode.Unsupported"/>: a later version wrote it.</exception>
    public VirtualMachineRecord? Read(string file)
    {
        if (folders.Read(file) is not { } content)
        {
            return null;
        }
        try
        {
            var found = JsonSerializer.Deserialize(content, ConfigurationJson.Default.VirtualMachineFile);
            if (found is { Version: > Version })
            {
                throw new GodwitException(
                    ErrorCode.Unsupported, $"'{file}' has version {found.Version}; this godwitd knows versions up to {Version}.",
                    "Use the newer godwitd that wrote it.");
            }
            return found is { Version: Version, Vm: { Name: not null, Settings: not null, Disks: not null } vm }
                ? vm.Lasting
                : throw Corrupt(file, "it does not describe a VM", null);
        }
        catch (JsonException e)
        {
            var at = $"line {e.LineNumber + 1}, byte {e.BytePositionInLine}";
            throw Corrupt(file, $"it is not the JSON of a VM at {at} ({e.Path})", e);
        }
    }

    /// <summary>Removes the file and the folders that are empty then.</summary>
    public void Remove(VirtualMachineRecord vm)
    {
        folders.DeleteFile(vm.ConfigurationFile);
        folders.RemoveEmpty(Path.Combine(vm.Path, Folder), vm.Path);
    }

    /// <summary>The configuration files in a folder and below, a VM's own folder or one of many.</summary>
    public IReadOnlyList<string> Find(string folder) => folders.FindFiles(folder, Folder, Extension);

    private static GodwitException Corrupt(string file, string why, Exception? cause) => new(
        new Problem(ErrorCode.Corrupt, $"'{file}' cannot be used: {why}.", "Put it right in an editor, or restore it from a backup."), cause);
}
