namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>What is asked of a saving.</summary>
/// <param name="Vm">The VM.</param>
internal sealed record SaveOrder(Guid Vm);
