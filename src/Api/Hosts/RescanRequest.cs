namespace Godwit.Api.Hosts;

/// <summary>Looks for VMs in folders.</summary>
/// <param name="Folders">Folders to look in, three levels deep; the host's own place for VMs, and where its VMs are, when null or empty.</param>
/// <param name="DryRun">Only say what would be done.</param>
public sealed record RescanRequest(IReadOnlyList<string>? Folders = null, bool DryRun = false);
