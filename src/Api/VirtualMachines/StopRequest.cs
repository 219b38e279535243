namespace Godwit.Api.VirtualMachines;

/// <summary>How to stop a VM.</summary>
/// <param name="TurnOff">End QEMU at once instead of asking the guest to shut down.</param>
/// <param name="TimeoutSeconds">How long the guest may take before the request fails (it is not turned off then).</param>
public sealed record StopRequest(bool TurnOff = false, int TimeoutSeconds = 120);
