namespace Godwit.Fuzz.Soak;

/// <summary>What a soak run over chains has done so far.</summary>
internal sealed class ChainCounts
{
    public long Operations { get; set; }

    public long Lives { get; set; }

    public long Snapshots { get; set; }

    public long Merges { get; set; }

    /// <summary>Merges that were broken off before one of their steps, and then finished by the same call.</summary>
    public long BrokenMerges { get; set; }

    /// <summary>Merges into a layer that cannot grow as far as the upper one.</summary>
    public long RefusedMerges { get; set; }

    public long Rebases { get; set; }

    public long Growths { get; set; }

    public long Reopens { get; set; }

    /// <summary>Copies of the leaf, taken while it was in use: what a killed process leaves.</summary>
    public long Kills { get; set; }

    public override string ToString() =>
        $"{Operations} operations in {Lives} chains of 3 to 8 layers: {Snapshots} snapshots, {Merges} merges ({BrokenMerges} broken off first, {RefusedMerges} more refused), "
        + $"{Rebases} rebases, {Growths} growths, {Reopens} reopens, {Kills} kills";
}
