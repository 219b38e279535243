using System.Globalization;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Checks what is asked for and says what will be done; nothing is changed.</summary>
internal sealed class CheckpointPlanner(VirtualMachineParts parts, TimeProvider time)
{
    /// <summary>So many images may be above each other; one is the disk itself, and one is written to.</summary>
    public const int Most = 48;

    private const int LongestName = 100;

    /// <exception cref="GodwitException">The checkpoint cannot be taken; the problem says why.</exception>
    public CheckpointOrder PlanNew(VirtualMachineRecord vm, CheckpointSpec spec, bool isOff)
    {
        var type = spec.Type ?? vm.Settings.CheckpointType;
        if (spec.Name is not null)
        {
            CheckName(spec.Name);
        }
        if (!Enum.IsDefined(type))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "The checkpoint type is unknown.");
        }
        if (type == CheckpointType.Disabled)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"Checkpoints of VM '{vm.Name}' are disabled.", $"Allow them: 'godwit vm set \"{vm.Name}\" --checkpoint-type standard'.");
        }
        if (type == CheckpointType.ProductionOnly && !isOff)
        {
            throw new GodwitException(
                ErrorCode.Unsupported, $"VM '{vm.Name}' has no guest agent that could hold its file systems still.",
                "Take a standard checkpoint (--type standard), or shut it down first.");
        }
        if (vm.Disks.Count == 0)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' has no disk: there is nothing a checkpoint could keep.");
        }
        if ((vm.Checkpoints?.Count ?? 0) >= Most)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' has {vm.Checkpoints!.Count} checkpoints, removed ones that are not merged included; at most {Most} are possible.",
                "Remove some first.");
        }
        var id = Guid.NewGuid();
        return new CheckpointOrder(vm.Id, id, spec.Name ?? NameOf(vm), type, vm.Disks, [.. Layers(vm.Disks, id)]);
    }

    /// <exception cref="GodwitException">The checkpoint cannot be applied; the problem says why.</exception>
    public ApplyOrder PlanApply(VirtualMachineRecord vm, CheckpointRecord checkpoint, bool force)
    {
        foreach (var file in checkpoint.Disks.Select(disk => disk.Path).Append(checkpoint.Saved?.File).OfType<string>().Where(file => !parts.Folders.FileExists(file)))
        {
            throw new GodwitException(
                ErrorCode.NotFound, $"'{file}' of checkpoint '{checkpoint.Name}' is not there.", "Bring it back from where it was moved to, or from a backup.");
        }
        // Another VM may have got one of its addresses since.
        new NetworkCheck(parts.Vms).Resolve(checkpoint.Settings, vm.Id);
        var id = Guid.NewGuid();
        var disks = checkpoint.Disks.Zip(Layers(checkpoint.Disks, id), (disk, layer) => disk with { Path = layer.Path, Format = FormatOver(disk.Format) });
        return new ApplyOrder(vm.Id, checkpoint.Id, force, [.. disks], [.. Left(vm)]);
    }

    /// <summary>The layout of an image over one of that layout.</summary>
    public static DiskFormat FormatOver(DiskFormat format) =>
        format is DiskFormat.VhdxFixed or DiskFormat.VhdxDynamic or DiskFormat.VhdxDifferencing ? DiskFormat.VhdxDifferencing : DiskFormat.VhdDifferencing;

    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void CheckName(string? name)
    {
        if (name is not { Length: >= 1 and <= LongestName } || name.Trim() != name || name.Any(char.IsControl) || name is "." or "..")
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"A checkpoint's name has 1 to {LongestName} characters, none of them a control character, no space at its ends, and is not made of dots.");
        }
    }

    private IEnumerable<NewLayer> Layers(IReadOnlyList<Disk> disks, Guid id)
    {
        foreach (var disk in disks)
        {
            var path = CheckpointFiles.LayerOver(disk, id);
            if (parts.Folders.FileExists(path))
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"'{path}' exists already.");
            }
            yield return new NewLayer(disk.Name, path);
        }
    }

    /// <summary>The VM's own images, where they are above a checkpoint's, and its saved state. A disk that came after the checkpoint is its owner's and stays.</summary>
    private static IEnumerable<string> Left(VirtualMachineRecord vm)
    {
        var current = new CheckpointTree(vm).Find(vm.CurrentCheckpoint);
        var layers = vm.Disks.Where(disk => current?.PathOf(disk.Name) is { } below && below != disk.Path).Select(disk => disk.Path);
        return vm.Saved is { } saved ? layers.Append(saved.File) : layers;
    }

    private string NameOf(VirtualMachineRecord vm)
    {
        var name = $"{vm.Name} - ({time.GetLocalNow().ToString("yyyy-MM-dd - HH:mm:ss", CultureInfo.InvariantCulture)})";
        return name.Length <= LongestName ? name : name[^LongestName..].TrimStart();
    }
}
