namespace Godwit.ControlPlane.VirtualMachines.Removing;

/// <summary>What is asked of a removal.</summary>
/// <param name="Vm">The VM as it was when it was asked for: what there is to remove must be known when its record is gone.</param>
/// <param name="DeleteDisks">Delete the disk files too.</param>
/// <param name="Force">Turn it off first.</param>
internal sealed record RemoveOrder(VirtualMachineRecord Vm, bool DeleteDisks, bool Force);
