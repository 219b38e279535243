using Godwit.Api.Disks;

namespace Godwit.Api.VirtualMachines;

/// <summary>What a user asks for when creating a VM.</summary>
/// <param name="Name">Unique on the host; letters, digits, space, dot, dash, underscore; at most 100 characters.</param>
/// <param name="Memory">Guest memory in bytes.</param>
/// <param name="Cpus">Virtual processors.</param>
/// <param name="Disks">Disks in the order the guest sees them.</param>
/// <param name="Kernel">Kernel file for direct boot, or null to boot from the first disk.</param>
/// <param name="Initrd">Initial RAM disk for direct boot.</param>
/// <param name="Append">Kernel command line for direct boot.</param>
/// <param name="Serial">File that receives everything the guest prints on its first serial port.</param>
public sealed record VirtualMachineSpec(
    string Name,
    long Memory,
    int Cpus,
    IReadOnlyList<DiskSpec> Disks,
    string? Kernel = null,
    string? Initrd = null,
    string? Append = null,
    string? Serial = null);
