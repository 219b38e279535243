using Godwit.Api;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>What the steps of an applying share.</summary>
internal static class Applying
{
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public static VirtualMachineRecord VmOf(VirtualMachineParts parts, ApplyOrder order) =>
        parts.Vms.Find(order.Vm) ?? throw new GodwitException(ErrorCode.NotFound, "The VM has been removed.");

    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public static CheckpointRecord CheckpointOf(VirtualMachineRecord vm, ApplyOrder order) =>
        new CheckpointTree(vm).Find(order.Checkpoint) ?? throw new GodwitException(ErrorCode.NotFound, "The checkpoint has been removed.");
}
