namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>What is asked of a creation.</summary>
/// <param name="Vm">The VM as it will be.</param>
/// <param name="NewDisks">Names of those of its disks that are to be created.</param>
internal sealed record CreateOrder(VirtualMachineRecord Vm, IReadOnlyList<string> NewDisks);
