using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>How to open a VHDX.</summary>
public sealed record VhdxOpenOptions
{
    /// <summary>Never write: a log left by a crash is applied in memory only. Implied when the file is open for reading only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The parent of a differencing disk: required for one, forbidden for any other. Owned by the disk once it is
    /// open, the caller's when opening throws. Its identity is the caller's to check.</summary>
    public BlockDevice? Parent { get; init; }

    /// <summary>Writing does not give the disk a new DataWriteGuid ([MS-VHDX] 2.2.2): only where nobody who recorded it sees the
    /// changes, because children cover them.</summary>
    public bool KeepsDataWriteGuid { get; init; }

    /// <summary>The running start of this computer: log entries that a killed process left unsealed count only within it.</summary>
    public Guid BootId { get; init; } = Boot.Id;

    /// <summary>Pages of the block allocation table to keep in memory; tests pass few.</summary>
    internal int TablePages { get; init; } = BlockAllocationTable.DefaultCapacity;

    /// <summary>Pages of sector bitmaps to keep in memory; fewer make a test of what is otherwise rare.</summary>
    internal int BitmapPages { get; init; } = SectorBitmaps.DefaultCapacity;

    /// <summary>Bytes by which the file grows ahead, as a hole that the close cuts off: a flush has mostly made them stable before
    /// blocks come to lie there, so that no block has to wait for that.</summary>
    internal long Headroom { get; init; } = 1L << 30;

    /// <summary>Makes the identifiers a session writes; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
