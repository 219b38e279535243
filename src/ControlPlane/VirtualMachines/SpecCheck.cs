using System.Diagnostics.CodeAnalysis;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Rules a VM's specification must keep, as far as it can be told from the specification alone.</summary>
internal static class SpecCheck
{
    private const long Mebibyte = 1L << 20;
    private const long MaximumDiskSize = 64L << 40;
    private const int MaximumCpus = 255;
    private const int MaximumDisks = 24;

    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static void Check(VirtualMachineSpec spec)
    {
        CheckName(spec.Name);
        Require(spec.Memory >= 16 * Mebibyte && spec.Memory % Mebibyte == 0,
            $"Memory is {spec.Memory} bytes; it must be at least 16 MiB and a multiple of 1 MiB.");
        Require(spec.Cpus is >= 1 and <= MaximumCpus, $"There are {spec.Cpus} processors; there must be 1 to {MaximumCpus}.");
        Require(spec.Disks is not null, "The list of disks is missing (it may be empty with a kernel).");
        Require(spec.Disks.Count <= MaximumDisks, $"There are {spec.Disks.Count} disks; at most {MaximumDisks} are possible.");
        Require(spec.Kernel is not null || spec.Disks.Count > 0, "The VM has neither a kernel nor a disk to boot from.");
        Require(spec.Kernel is not null || (spec.Initrd is null && spec.Append is null),
            "An initial RAM disk or a kernel command line needs a kernel.");
        Require(spec.Append?.Contains('\0', StringComparison.Ordinal) != true, "The kernel command line holds a NUL.");
        foreach (var disk in spec.Disks)
        {
            CheckDisk(disk);
        }
    }

    private static void CheckName(string? name)
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
