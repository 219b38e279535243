namespace Godwit.Api.VirtualMachines;

/// <summary>Gives a VM another name.</summary>
/// <param name="Name">Its new name.</param>
public sealed record RenameRequest(string Name);
