namespace Godwit.Storage.Operations;

/// <summary>What a compaction has found so far, in bytes.</summary>
internal sealed class CompactTally
{
    public long Zero { get; set; }

    public long Unused { get; set; }

    public long Equal { get; set; }

    public long Inside { get; set; }

    public long ZeroInside { get; set; }

    public long Empty { get; set; }

    public long BlocksMoved { get; set; }

    public long LengthAfter { get; set; }
}
