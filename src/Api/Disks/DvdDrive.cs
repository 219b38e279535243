namespace Godwit.Api.Disks;

/// <summary>A DVD drive of a VM.</summary>
/// <param name="Name">Its name within the VM, for example "dvd0".</param>
/// <param name="ControllerType">IDE or SCSI.</param>
/// <param name="ControllerNumber">Which controller of that type.</param>
/// <param name="ControllerLocation">Where on the controller.</param>
/// <param name="Path">The image of the disc in it; null when it is empty.</param>
public sealed record DvdDrive(string Name, ControllerType ControllerType, int ControllerNumber, int ControllerLocation, string? Path = null);

/// <summary>A DVD drive as asked for.</summary>
/// <param name="Path">An ISO image, an absolute path; an empty drive when null.</param>
/// <param name="ControllerType">IDE when null, SCSI for a VM of generation 2 or when no place on IDE is free.</param>
/// <param name="ControllerNumber">The first one with a free place when null.</param>
/// <param name="ControllerLocation">The first free one when null.</param>
public sealed record DvdDriveSpec(
    string? Path = null, ControllerType? ControllerType = null, int? ControllerNumber = null, int? ControllerLocation = null);

/// <summary>What is to be in a DVD drive.</summary>
/// <param name="Path">An ISO image, an absolute path; null for nothing.</param>
public sealed record DvdMedium(string? Path = null);
