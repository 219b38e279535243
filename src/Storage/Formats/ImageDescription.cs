using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats;

/// <summary>What an image file is.</summary>
/// <param name="Format">Its format.</param>
/// <param name="Size">Bytes of the disk as its user sees it.</param>
/// <param name="AllocatedBytes">Bytes of disk space the file takes up.</param>
/// <param name="LogicalSectorSize">Smallest unit of a request, in bytes.</param>
/// <param name="PhysicalSectorSize">Unit below which a write costs a read-modify-write, in bytes.</param>
/// <param name="BlockSize">Unit of allocation in bytes; null where the format has none.</param>
/// <param name="Identifier">The disk's own identity; null where the format has none.</param>
public sealed record ImageDescription(
    ImageFormat Format, long Size, long AllocatedBytes, int LogicalSectorSize, int PhysicalSectorSize, int? BlockSize, Guid? Identifier)
{
    /// <summary>What a child records to know its parent again: a VHDX's DataWriteGuid, a VHD's unique id; null for raw.</summary>
    public Guid? Linkage { get; init; }

    /// <summary>VHD: the time stamp of its footer, which a child records too.</summary>
    public DateTimeOffset? Modified { get; init; }

    /// <summary>The parent of a differencing image; null for every other one.</summary>
    public ParentLink? Parent { get; init; }

    /// <summary>VHDX: changes wait in the log for the next opening for writing.</summary>
    public bool LogIsDirty { get; init; }
}
