using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>A storage move as journalled: what was asked for and the plan made from it. The plan never changes afterwards,
/// so that every repetition works on the same files.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Request">What was asked for.</param>
/// <param name="Plan">What will be done.</param>
internal sealed record StorageMoveOrder(Guid Vm, StorageMoveRequest Request, StorageMovePlan Plan);
