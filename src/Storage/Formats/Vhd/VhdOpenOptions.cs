namespace Godwit.Storage.Formats.Vhd;

/// <summary>How to open a VHD.</summary>
public sealed record VhdOpenOptions
{
    /// <summary>Never write, not even to repair a torn end. Implied when the file is open for reading only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The parent of a differencing disk: required for one, forbidden for any other. Owned by the disk once it is
    /// open, the caller's when opening throws. Its identity is the caller's to check.</summary>
    public BlockDevice? Parent { get; init; }

    /// <summary>For identifiers; a session of this format writes none yet.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;

    /// <summary>By how many bytes of blocks the file grows at a time. A new block costs no flush until they are used up.</summary>
    internal long Headroom { get; init; } = 64 << 20;

    /// <summary>About how many bytes of free places one flush makes ready for blocks, so that it does not take too long.</summary>
    internal long ReusedPerFlush { get; init; } = 1L << 30;
}
