using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Ownership;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>What VMs are made of and what works on them works with.</summary>
/// <param name="Vms">The VMs as stored.</param>
/// <param name="Runtime">Their QEMU processes.</param>
/// <param name="Workers">Their disk workers.</param>
/// <param name="Images">Images nobody serves.</param>
/// <param name="Folders">The file system.</param>
/// <param name="Ownership">Ownership records.</param>
/// <param name="Gates">Keep starts, stops and worker stops apart.</param>
/// <param name="HostId">This host in ownership records.</param>
/// <param name="MachineFolder">Where the folder of a VM is made when nobody says where.</param>
public sealed record VirtualMachineParts(
    VirtualMachineStore Vms,
    IVirtualMachineRuntime Runtime,
    IDiskWorkers Workers,
    IImages Images,
    IFolders Folders,
    IOwnershipStore Ownership,
    VirtualMachineGates Gates,
    string HostId,
    string MachineFolder);
