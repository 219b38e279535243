namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>What is in a VM's configuration file.</summary>
/// <param name="Version">Of the layout; members are added without a new version.</param>
/// <param name="Vm">The record.</param>
internal sealed record VirtualMachineFile(int Version, VirtualMachineRecord Vm);
