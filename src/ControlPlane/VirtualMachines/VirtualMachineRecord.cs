using Godwit.Api.Disks;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>A VM as defined and stored. What it is doing is observed, never stored.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Name">Unique on the host, whatever its case.</param>
/// <param name="Memory">Guest memory in bytes.</param>
/// <param name="Cpus">Virtual processors.</param>
/// <param name="Disks">Disks in the order the guest sees them.</param>
/// <param name="Kernel">Kernel file for direct boot.</param>
/// <param name="Initrd">Initial RAM disk for direct boot.</param>
/// <param name="Append">Kernel command line for direct boot.</param>
/// <param name="Serial">File that receives the first serial port's output.</param>
public sealed record VirtualMachineRecord(
    Guid Id,
    string Name,
    long Memory,
    int Cpus,
    IReadOnlyList<Disk> Disks,
    string? Kernel,
    string? Initrd,
    string? Append,
    string? Serial);
