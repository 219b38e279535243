namespace Godwit.Qemu.Launch;

/// <summary>A DVD drive of a VM.</summary>
/// <param name="Name">Name within the VM, as for a disk.</param>
/// <param name="Place">IDE or SCSI.</param>
/// <param name="Path">The image of the disc in it, opened for reading only; null when it is empty.</param>
public sealed record QemuDvd(string Name, QemuPlace Place, string? Path);
