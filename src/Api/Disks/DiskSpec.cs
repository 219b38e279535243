namespace Godwit.Api.Disks;

/// <summary>A disk as asked for when a VM is created.</summary>
/// <param name="Path">The image file, an absolute path. Created when <paramref name="Size"/> is given, else it must exist.</param>
/// <param name="Size">Size in bytes of a new disk, or null to use an existing file.</param>
/// <param name="Format">Layout of a new disk (dynamic VHDX when null), or what an existing file must be (detected when null).</param>
/// <param name="Cache">Its cache mode; writeback when null.</param>
/// <param name="ControllerType">Virtio when null, SCSI for a VM of generation 2.</param>
/// <param name="ControllerNumber">The first one with a free place when null.</param>
/// <param name="ControllerLocation">The first free one when null.</param>
public sealed record DiskSpec(
    string Path,
    long? Size = null,
    DiskFormat? Format = null,
    DiskCache? Cache = null,
    ControllerType? ControllerType = null,
    int? ControllerNumber = null,
    int? ControllerLocation = null);
