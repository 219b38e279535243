using Godwit.Api.Disks;

namespace Godwit.Api.VirtualMachines;

/// <summary>A VM as the host knows it.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Name">Unique on the host.</param>
/// <param name="State">What it is doing.</param>
/// <param name="StateReason">Why it is in that state, when that needs saying.</param>
/// <param name="Settings">Its settings.</param>
/// <param name="Disks">Disks in the order the guest sees them, each with its present path.</param>
/// <param name="Path">Folder of its configuration and saved state.</param>
/// <param name="Accelerator">"kvm" or "tcg" while it runs.</param>
/// <param name="AcceleratorReason">Why TCG had to be taken, when it was.</param>
/// <param name="QemuProcessId">QEMU's process id while it runs.</param>
/// <param name="WorkerProcessId">The disk worker's process id while it runs.</param>
/// <param name="JobId">The job that works on it now.</param>
/// <param name="SavedState">What it was doing when it was saved; null unless it is.</param>
/// <param name="Generation">1: firmware is a BIOS; 2: firmware is UEFI.</param>
/// <param name="DvdDrives">Its DVD drives; none when null.</param>
public sealed record VirtualMachine(
    Guid Id,
    string Name,
    VirtualMachineState State,
    string? StateReason,
    VirtualMachineSettings Settings,
    IReadOnlyList<Disk> Disks,
    string Path,
    string? Accelerator,
    string? AcceleratorReason,
    int? QemuProcessId,
    int? WorkerProcessId,
    Guid? JobId,
    SavedState? SavedState = null,
    int Generation = 1,
    IReadOnlyList<DvdDrive>? DvdDrives = null);
