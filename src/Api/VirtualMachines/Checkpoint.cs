namespace Godwit.Api.VirtualMachines;

/// <summary>A state of a VM that it can go back to.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Name">What people call it; need not be unique.</param>
/// <param name="ParentId">The checkpoint before it; null for the first.</param>
/// <param name="Created">When it was taken.</param>
/// <param name="Type">What it keeps: <see cref="CheckpointType.Standard"/> or <see cref="CheckpointType.Production"/>.</param>
/// <param name="State">What the VM is after it was applied: <see cref="VirtualMachineState.Saved"/> with memory, else <see cref="VirtualMachineState.Off"/>.</param>
/// <param name="IsCurrent">The VM as it is now began from it.</param>
public sealed record Checkpoint(Guid Id, string Name, Guid? ParentId, DateTimeOffset Created, CheckpointType Type, VirtualMachineState State, bool IsCurrent);

/// <summary>The checkpoints of a VM.</summary>
/// <param name="Checkpoints">All of them, the oldest first.</param>
/// <param name="Unmerged">Removed ones whose disk files are not merged yet.</param>
public sealed record CheckpointList(IReadOnlyList<Checkpoint> Checkpoints, int Unmerged);

/// <summary>What is asked of a new checkpoint.</summary>
/// <param name="Name">1 to 100 characters; a name with the time when null.</param>
/// <param name="Type">What it keeps; the VM's setting when null.</param>
public sealed record CheckpointSpec(string? Name = null, CheckpointType? Type = null);

/// <summary>How a checkpoint is applied.</summary>
/// <param name="Force">Turn the VM off first when it is not off.</param>
public sealed record ApplyRequest(bool Force = false);
