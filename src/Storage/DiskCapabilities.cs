namespace Godwit.Storage;

/// <summary>What a trimmed range reads back as.</summary>
public enum TrimResult
{
    /// <summary>Trim is accepted and changes nothing.</summary>
    Ignored = 0,

    /// <summary>The range reads as zeroes afterwards.</summary>
    Zeroes = 1,

    /// <summary>The range reads as anything that was ever written there, or zeroes.</summary>
    Undefined = 2,
}

/// <summary>What a block device can do. Fixed when the device is opened, so callers may cache it.</summary>
/// <param name="SectorSize">Logical sector size in bytes; every offset and length is a multiple of it.</param>
/// <param name="PhysicalSectorSize">Size in bytes below which a write costs a read-modify-write.</param>
/// <param name="ReadOnly">Writes, trims and zeroing are refused.</param>
/// <param name="Trim">What a trimmed range reads back as.</param>
/// <param name="CanResize">The device can grow while it is open.</param>
public readonly record struct DiskCapabilities(
    int SectorSize, int PhysicalSectorSize, bool ReadOnly, TrimResult Trim, bool CanResize)
{
    /// <summary>512-byte sectors, 4 KiB physical, writable, trim reads as zeroes, fixed size.</summary>
    public static DiskCapabilities Default { get; } = new(512, 4096, false, TrimResult.Zeroes, false);
}
