namespace Godwit.Api.Disks;

/// <summary>A disk as attached to a VM.</summary>
/// <param name="Name">Its name within the VM, for example "disk0"; also the name of its export.</param>
/// <param name="Path">Where the image file is now.</param>
/// <param name="Format">How the file is laid out.</param>
/// <param name="Size">What the guest sees, in bytes.</param>
/// <param name="Cache">Its cache mode; null for writeback.</param>
/// <param name="Gaps">What its file systems do not give, locks say, and what that means; null for nothing, and while nothing serves it.</param>
/// <param name="ControllerType">What it is attached to; null for virtio, in a VM of a godwitd that knew nothing else.</param>
/// <param name="ControllerNumber">Which controller of that type.</param>
/// <param name="ControllerLocation">Where on the controller.</param>
public sealed record Disk(
    string Name,
    string Path,
    DiskFormat Format,
    long Size,
    DiskCache? Cache = null,
    IReadOnlyList<string>? Gaps = null,
    ControllerType? ControllerType = null,
    int? ControllerNumber = null,
    int? ControllerLocation = null);
