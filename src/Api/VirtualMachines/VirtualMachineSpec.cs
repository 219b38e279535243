using Godwit.Api.Disks;

namespace Godwit.Api.VirtualMachines;

/// <summary>What a user asks for when creating a VM.</summary>
/// <param name="Name">Unique on the host; letters, digits, space, dot, dash, underscore; at most 100 characters.</param>
/// <param name="Settings">Its settings; what is left out has its default.</param>
/// <param name="Disks">Disks in the order the guest sees them.</param>
/// <param name="Path">Folder in which a folder of the VM's name is made for its configuration and saved state; the host's own place when
/// null.</param>
/// <param name="Generation">1: firmware is a BIOS; 2: firmware is UEFI. Never changes.</param>
/// <param name="DvdDrives">Its DVD drives; none when null.</param>
public sealed record VirtualMachineSpec(
    string Name,
    VirtualMachineSettings Settings,
    IReadOnlyList<DiskSpec> Disks,
    string? Path = null,
    int Generation = 1,
    IReadOnlyList<DvdDriveSpec>? DvdDrives = null);
