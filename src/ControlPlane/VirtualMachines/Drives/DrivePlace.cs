using Godwit.Api.Disks;

namespace Godwit.ControlPlane.VirtualMachines.Drives;

/// <summary>A place for a drive.</summary>
/// <param name="Type">Kind of controller.</param>
/// <param name="Number">Which of them.</param>
/// <param name="Location">Where on it.</param>
public readonly record struct DrivePlace(ControllerType Type, int Number, int Location)
{
    /// <summary>SCSI controllers a VM can have.</summary>
    public const int ScsiControllers = 4;

    private const int ScsiLocations = 64;
    private const int VirtioLocations = 24;

    /// <summary>How many controllers of a kind a VM can have.</summary>
    public static int Controllers(ControllerType type) => type switch
    {
        ControllerType.Ide => 2,
        ControllerType.Scsi => ScsiControllers,
        _ => 1,
    };

    /// <summary>How many drives there can be on a controller.</summary>
    public static int Locations(ControllerType type) => type switch
    {
        ControllerType.Ide => 2,
        ControllerType.Scsi => ScsiLocations,
        _ => VirtioLocations,
    };

    /// <summary>Where a disk is. One that is nowhere, from a godwitd that knew of no places, is on virtio in its turn.</summary>
    public static DrivePlace Of(Disk disk, int turn) => disk.ControllerType is { } type
        ? new DrivePlace(type, disk.ControllerNumber ?? 0, disk.ControllerLocation ?? 0)
        : new DrivePlace(ControllerType.Virtio, 0, turn);

    /// <summary>Where a DVD drive is.</summary>
    public static DrivePlace Of(DvdDrive drive) => new(drive.ControllerType, drive.ControllerNumber, drive.ControllerLocation);

    /// <summary>"SCSI 0:3", for people.</summary>
    public override string ToString() => $"{Type.ToString().ToUpperInvariant()} {Number}:{Location}";
}
