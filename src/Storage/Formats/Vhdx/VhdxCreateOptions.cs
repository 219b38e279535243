using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What a new VHDX is to be.</summary>
public sealed partial record VhdxCreateOptions
{
    /// <summary>What the guest sees, in bytes: a multiple of the logical sector size up to 64 TiB.</summary>
    public required long Size { get; init; }

    /// <summary>Reserve every block at creation. Not together with a parent.</summary>
    public bool Fixed { get; init; }

    /// <summary>Makes the disk a differencing one: its linkage is the parent's <see cref="VhdxDisk.DataWriteGuid"/>; a relative path is
    /// written with backslashes. Null for a disk without parent.</summary>
    public ParentLink? Parent { get; init; }

    /// <summary>Bytes per block: a power of two from 1 to 256 MiB. When null 32 MiB, and 2 MiB with a parent; the parent's own
    /// block size is a good choice too.</summary>
    public int? BlockSize { get; init; }

    /// <summary>512 or 4096: the smallest unit of a request.</summary>
    public int LogicalSectorSize { get; init; } = 512;

    /// <summary>512 or 4096, not below the logical one: below this a write costs the guest a read-modify-write. Told to the guest.</summary>
    public int PhysicalSectorSize { get; init; } = 4096;

    /// <summary>Bytes of the log: a multiple of 1 MiB, at most 64 MiB.</summary>
    public int LogSize { get; init; } = 1 << 20;

    /// <summary>Metadata of the parent that the new disk takes over.</summary>
    internal IReadOnlyList<VhdxMetadataItem> Metadata { get; init; } = [];

    /// <summary>Identifies the disk to the guest; a new one when null.</summary>
    public Guid? DiskId { get; init; }

    /// <summary>Makes the other identifiers; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
