using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats;

/// <summary>What a new image is to be, beyond format and size. What a format does not have is ignored.</summary>
public sealed record ImageCreateOptions
{
    /// <summary>VHDX: bytes per block, a power of two from 1 to 256 MiB; the format's default when null.</summary>
    public int? BlockSize { get; init; }

    /// <summary>Smallest unit of a request in bytes: 512, or 4096 in a VHDX.</summary>
    public int LogicalSectorSize { get; init; } = 512;

    /// <summary>VHDX: unit below which a write costs a read-modify-write, 512 or 4096 bytes.</summary>
    public int PhysicalSectorSize { get; init; } = 4096;

    /// <summary>VHDX and VHD: the disk's own identity, kept when a disk is moved or converted; a new one when null.</summary>
    public Guid? Identifier { get; init; }

    /// <summary>VHDX: metadata of the parent that a differencing image takes over.</summary>
    internal IReadOnlyList<VhdxMetadataItem> Metadata { get; init; } = [];
}
