using System.Diagnostics.CodeAnalysis;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Drives;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Rules a VM's specification must keep, as far as it can be told from the specification alone.</summary>
internal static class SpecCheck
{
    private const long Mebibyte = 1L << 20;
    private const long MaximumDiskSize = 64L << 40;
    private const int MaximumCpus = 255;
    private const long LeastForUefi = 128 * Mebibyte;
    private const long MaximumMemory = 12L << 40;
    private const int MaximumDelay = 100_000;

    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void Check(VirtualMachineSpec spec)
    {
        CheckName(spec.Name);
        Require(spec.Settings is not null, "The settings are missing (they may be empty: {}).");
        Require(spec.Disks is not null, "The list of disks is missing (it may be empty with a kernel).");
        Require(spec.Generation is 1 or 2, $"There is no generation {spec.Generation}: 1 has a BIOS, 2 has UEFI.");
        Check(spec.Settings, spec.Generation, spec.Disks.Count + (spec.DvdDrives?.Count ?? 0));
        foreach (var disk in spec.Disks)
        {
            CheckDisk(disk);
        }
        foreach (var drive in spec.DvdDrives ?? [])
        {
            Require(drive is not null, "A DVD drive is missing.");
            CheckText(drive.Path, "The path of a disc", 4096);
            Require(drive.Path is not { Length: 0 }, "The path of a disc is empty; leave it out for an empty drive.");
        }
    }

    /// <summary>Checks the settings of a VM that exists.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void Check(VirtualMachineSettings settings, VirtualMachineRecord vm)
    {
        Check(settings, vm.Generation, vm.Drives.Count());
        CheckBootOrder(settings.BootOrder, vm.Drives);
    }

    /// <summary>Checks an order of drives to boot from.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void CheckBootOrder(IReadOnlyList<string>? order, IEnumerable<string> drives)
    {
        Require(order is null || order.Distinct().Count() == order.Count, "A drive is in the boot order twice.");
        var missing = (order ?? []).Except(drives).FirstOrDefault();
        Require(missing is null, $"There is no drive '{missing}' to boot from; there are: {string.Join(", ", drives)}.");
    }

    /// <summary>Checks settings for a VM with so many drives.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    private static void Check(VirtualMachineSettings settings, int generation, int drives)
    {
        Require(settings.Memory >= 16 * Mebibyte && settings.Memory % Mebibyte == 0,
            $"Memory is {settings.Memory} bytes; it must be at least 16 MiB and a multiple of 1 MiB.");
        Require(settings.Memory <= MaximumMemory, $"Memory is {settings.Memory} bytes; at most 12 TiB are possible.");
        Require(settings.Cpus is >= 1 and <= MaximumCpus, $"There are {settings.Cpus} processors; there must be 1 to {MaximumCpus}.");
        Require(generation == 1 || settings.Memory >= LeastForUefi, "A VM of generation 2 needs 128 MiB: its firmware does not start with less.");
        Require(drives <= DrivePlaces.MaximumDrives, $"There are {drives} drives; at most {DrivePlaces.MaximumDrives} are possible.");
        Require(settings.Kernel is not null || drives > 0, "The VM has neither a kernel nor a drive to boot from.");
        Require(settings.Kernel is not null || (settings.Initrd is null && settings.Append is null),
            "An initial RAM disk or a kernel command line needs a kernel.");
        CheckText(settings.Append, "The kernel command line", 4096);
        CheckText(settings.Notes, "The notes", 4096);
        NetworkCheck.Check(settings.Networks);
        Require(Enum.IsDefined(settings.CheckpointType), "The checkpoint type is unknown.");
        Require(Enum.IsDefined(settings.AutomaticStartAction), "The automatic start action is unknown.");
        Require(settings.AutomaticStartDelay is >= 0 and <= MaximumDelay, $"The start delay must be 0 to {MaximumDelay} seconds.");
        Require(Enum.IsDefined(settings.AutomaticStopAction), "The automatic stop action is unknown.");
        Require(Enum.IsDefined(settings.AutomaticCriticalErrorAction), "The critical error action is unknown.");
        Require(settings.AutomaticCriticalErrorActionTimeout is >= 1 and <= MaximumDelay,
            $"The critical error timeout must be 1 to {MaximumDelay} minutes.");
    }

    private static void CheckText(string? text, string what, int most)
    {
        Require(text is null || text.Length <= most, $"{what} has {text?.Length} characters; at most {most} are possible.");
        Require(text?.Contains('\0', StringComparison.Ordinal) != true, $"{what} holds a NUL.");
    }

    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void CheckName(string? name)
    {
        Require(name is { Length: >= 1 and <= 100 }, "A VM's name has 1 to 100 characters.");
        Require(name.All(c => char.IsAsciiLetterOrDigit(c) || c is ' ' or '.' or '-' or '_'),
            $"The name '{name}' may hold letters, digits, space, dot, dash and underscore only.");
        Require(name.Trim() == name && name is not ("." or ".."), $"The name '{name}' may not start or end with a space or be dots.");
    }

    private static void CheckDisk(DiskSpec? disk)
    {
        Require(!string.IsNullOrEmpty(disk?.Path), "A disk has no path.");
        // A name with a comma or a colon is fine for us, but has bitten users of QEMU's own tools: only NUL is impossible.
        Require(!disk.Path.Contains('\0', StringComparison.Ordinal), "A disk's path holds a NUL.");
        Require(disk.Format is null || Enum.IsDefined(disk.Format.Value), "A disk's format is unknown.");
        if (disk.Size is { } size)
        {
            Require(size is >= Mebibyte and <= MaximumDiskSize && size % 512 == 0,
                $"'{disk.Path}' is to have {size} bytes; it must be 1 MiB to 64 TiB and a multiple of 512.");
        }
    }

    private static void Require([DoesNotReturnIf(false)] bool kept, string otherwise)
    {
        if (!kept)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, otherwise);
        }
    }
}
