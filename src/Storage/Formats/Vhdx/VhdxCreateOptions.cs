namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What a new VHDX is to be.</summary>
public sealed record VhdxCreateOptions
{
    /// <summary>What the guest sees, in bytes: a multiple of 512 from 512 bytes to 64 TiB.</summary>
    public required long Size { get; init; }

    /// <summary>Reserve every block at creation.</summary>
    public bool Fixed { get; init; }

    /// <summary>Bytes per block: a power of two from 1 to 256 MiB.</summary>
    public int BlockSize { get; init; } = 32 << 20;

    /// <summary>512 or 4096: below this a write costs the guest a read-modify-write. Told to the guest.</summary>
    public int PhysicalSectorSize { get; init; } = 4096;

    /// <summary>Bytes of the log: a multiple of 1 MiB, at most 64 MiB.</summary>
    public int LogSize { get; init; } = 1 << 20;

    /// <summary>Identifies the disk to the guest; a new one when null.</summary>
    public Guid? DiskId { get; init; }

    /// <summary>Makes the other identifiers; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
