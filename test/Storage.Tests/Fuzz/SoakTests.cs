using Godwit.Fuzz.Soak;
using Xunit;

namespace Godwit.Storage.Tests.Fuzz;

/// <summary>A short life of every kind of disk and of chain, with fixed seeds. The long runs: ./dev soak.</summary>
[Collection(nameof(FuzzTargetTests))]
public sealed class SoakTests
{
    public static TheoryData<int> Disks => [.. Enumerable.Range(0, SoakFormats.All.Count)];

    public static TheoryData<int> Chains => [.. Enumerable.Range(0, ChainFormat.All.Count)];

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Disks))]
    public async Task A_disk_keeps_its_promises_through_a_random_life(int seed)
    {
        var counts = new SoakCounts();
        await SoakVerb.LiveAsync(seed, 150, counts, null);
        Assert.Equal(150, counts.Operations);
        Assert.True(counts is { PowerCuts: > 0, Kills: > 0 }, counts.ToString());
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Chains))]
    public async Task A_chain_reads_the_same_through_snapshots_merges_and_rebases(int seed)
    {
        var counts = new ChainCounts();
        await SoakVerb.LiveInChainAsync(seed, 150, counts);
        Assert.True(counts is { Operations: 150, Snapshots: > 2 } && counts.Merges + counts.Rebases > 0, counts.ToString());
    }

    [Fact]
    public void Every_kind_of_disk_has_its_own_name() =>
        Assert.Distinct(SoakFormats.All.Select(format => format.Name).Concat(ChainFormat.All.Select(format => format.Name)));
}
