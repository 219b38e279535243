namespace Godwit.Storage.Operations;

/// <summary>What a compaction may do.</summary>
public sealed record CompactOptions
{
    /// <summary>Changes nothing and only says what would be given back.</summary>
    public bool DryRun { get; init; }

    /// <summary>Gives back only what reads as zeroes; what file systems call free stays as it is.</summary>
    public bool ZeroesOnly { get; init; }

    /// <summary>Bytes of blocks that are copied between two barriers; fewer make a test of what is otherwise rare.</summary>
    internal long BatchBytes { get; init; } = 64 << 20;
}
