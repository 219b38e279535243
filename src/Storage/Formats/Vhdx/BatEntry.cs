namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What a payload block is.</summary>
/// <remarks>[MS-VHDX] section 2.5.1.1.</remarks>
internal enum BlockState
{
    NotPresent = 0,
    Undefined = 1,
    Zero = 2,
    Unmapped = 3,

    /// <summary>What drafts of the format used for unmapped.</summary>
    UnmappedInDrafts = 5,
    FullyPresent = 6,
    PartiallyPresent = 7,
}

/// <summary>One entry of the block allocation table: 3 bits of state, the offset in MiB from bit 20 on.</summary>
/// <param name="Raw">As in the file.</param>
internal readonly record struct BatEntry(ulong Raw)
{
    private const ulong StateMask = 7;
    private const ulong OffsetMask = ~((1UL << 20) - 1);

    public BatEntry(BlockState state, long offset)
        : this((ulong)state | (ulong)offset)
    {
    }

    public BlockState State => (BlockState)(Raw & StateMask);

    /// <summary>Where the block is, in bytes. Only trusted when the table was validated; never negative then.</summary>
    public long Offset => (long)(Raw & OffsetMask);

    /// <summary>The offset as the file has it, which may be beyond 2^63.</summary>
    public ulong RawOffset => Raw & OffsetMask;

    public ulong ReservedBits => Raw & ~(StateMask | OffsetMask);

    /// <summary>The block has a place in the file. All its bytes are there unless it is partially present.</summary>
    public bool IsPresent => State is BlockState.FullyPresent or BlockState.PartiallyPresent;

    /// <summary>The parent's bytes show through; in a disk without parent the block reads as zeroes.</summary>
    public bool IsParents => State == BlockState.NotPresent;
}
