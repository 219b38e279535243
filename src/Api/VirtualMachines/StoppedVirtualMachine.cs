namespace Godwit.Api.VirtualMachines;

/// <summary>A VM that was stopped because the host goes down.</summary>
/// <param name="Name">The VM.</param>
/// <param name="Action">What was done.</param>
/// <param name="Problem">Why it had to be turned off instead of what its settings say; null when it had not.</param>
public sealed record StoppedVirtualMachine(string Name, StopAction Action, Problem? Problem = null);
