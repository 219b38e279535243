namespace Godwit.Api.VirtualMachines;

/// <summary>Memory and devices of a VM in a file.</summary>
/// <param name="File">The file; sparse, so it occupies less than its length.</param>
/// <param name="Saved">When it was saved.</param>
public sealed record SavedState(string File, DateTimeOffset Saved);
