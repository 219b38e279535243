using Godwit.Api.Hosts;
using Godwit.ControlPlane.Checks;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.Host.Checks;

/// <summary>Looks at the folders godwitd and its VMs write to: free space, and who may get at them.</summary>
internal sealed class FolderCheck(HostFolders folders, VirtualMachineParts parts) : IHostCheck
{
    private const long Mebibyte = 1 << 20;
    private const long Little = 1024 * Mebibyte;
    private const long Least = 128 * Mebibyte;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    public Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<CheckFinding>>(Look());

    private List<CheckFinding> Look()
    {
        var vms = parts.Vms.List();
        IEnumerable<string> used =
        [
            folders.State, folders.Run, parts.MachineFolder, .. vms.Select(vm => vm.Path),
            .. vms.SelectMany(vm => vm.Disks).Select(disk => Path.GetDirectoryName(disk.Path)!),
        ];
        var findings = used.Distinct().SelectMany(Space).Concat(new[] { folders.State, folders.Run }.SelectMany(Mode)).ToList();
        return findings.Count > 0 ? findings : [new CheckFinding("folder", CheckSeverity.Good, "There is room, and what is private is private.")];
    }

    private IEnumerable<CheckFinding> Space(string folder)
    {
        if (!parts.Folders.IsWritable(folder))
        {
            yield return new CheckFinding("folder", CheckSeverity.Error, $"Nothing can be written to '{folder}'.", "Check its owner and mode, and how it is mounted.");
        }
        var free = parts.Folders.AvailableBytes(folder);
        if (free < Little)
        {
            yield return new CheckFinding(
                "space", free < Least ? CheckSeverity.Error : CheckSeverity.Warning, $"'{folder}' has {free / Mebibyte} MiB free.",
                "Free space: a guest whose disk cannot grow is paused.");
        }
    }

    private static IEnumerable<CheckFinding> Mode(string folder)
    {
        if (Directory.Exists(folder) && (File.GetUnixFileMode(folder) & Others) != 0)
        {
            yield return new CheckFinding("folder", CheckSeverity.Error, $"Others can get at '{folder}'.", $"chmod 0700 '{folder}'");
        }
    }
}
