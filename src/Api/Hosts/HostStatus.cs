namespace Godwit.Api.Hosts;

/// <summary>What a host says about itself.</summary>
/// <param name="Name">Host name of the computer.</param>
/// <param name="Version">Version of <c>godwitd</c>.</param>
/// <param name="ProcessId">Process id of <c>godwitd</c>.</param>
/// <param name="Accelerator">"kvm" or "tcg": what the next VM will run with; null when QEMU cannot be used.</param>
/// <param name="AcceleratorReason">Why TCG has to be taken, or why QEMU cannot be used.</param>
/// <param name="VirtualMachines">VMs defined.</param>
/// <param name="RunningVirtualMachines">VMs that run now.</param>
/// <param name="ActiveJobs">Jobs that have not ended.</param>
/// <param name="StorageMoveLimit">Storage moves that run at the same time; further ones wait.</param>
/// <param name="AllowedRoots">Folders disks may be in; empty means everything except system folders.</param>
public sealed record HostStatus(
    string Name,
    string Version,
    int ProcessId,
    string? Accelerator,
    string? AcceleratorReason,
    int VirtualMachines,
    int RunningVirtualMachines,
    int ActiveJobs,
    int StorageMoveLimit,
    IReadOnlyList<string> AllowedRoots);
