namespace Godwit.Qemu.Launch;

/// <summary>What a drive is attached to.</summary>
public enum QemuBus
{
    /// <summary>A PCI device of its own (virtio-blk); its place is that in the list of disks.</summary>
    Virtio,

    /// <summary>PIIX3's two channels with a master and a slave each.</summary>
    Ide,

    /// <summary>A virtio-scsi controller; the location is the target's number.</summary>
    Scsi,
}

/// <summary>Where a drive is attached.</summary>
/// <param name="Bus">To what.</param>
/// <param name="Controller">Which one: 0 or 1 for IDE, 0 to 3 for SCSI.</param>
/// <param name="Location">Where on it: 0 or 1 for IDE, 0 to 63 for SCSI.</param>
public readonly record struct QemuPlace(QemuBus Bus, int Controller, int Location)
{
    /// <summary>SCSI controllers there can be.</summary>
    public const int ScsiControllers = 4;

    /// <summary>Locations on a SCSI controller.</summary>
    public const int ScsiLocations = 64;

    /// <summary>There is such a place.</summary>
    public bool Exists => Bus switch
    {
        QemuBus.Ide => Controller is 0 or 1 && Location is 0 or 1,
        QemuBus.Scsi => Controller is >= 0 and < ScsiControllers && Location is >= 0 and < ScsiLocations,
        _ => true,
    };
}
