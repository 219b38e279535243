namespace Godwit.Qemu.Launch;

/// <summary>A network adapter of a VM, connected to QEMU's own address translation.</summary>
/// <param name="Name">Name within the VM: letters and digits, at most 24.</param>
/// <param name="MacAddress">"52:54:00:12:34:56".</param>
public sealed record QemuNetwork(string Name, string MacAddress);
