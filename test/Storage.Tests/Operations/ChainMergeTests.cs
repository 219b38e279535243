using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Chains;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

public sealed class ChainMergeTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    public static TheoryData<string, int, int> Ranges
    {
        get
        {
            var ranges = new TheoryData<string, int, int>();
            foreach (var family in new[] { "VHDX", "VHD" })
            {
                foreach (var (top, target) in new[] { (4, 3), (4, 0), (3, 2), (2, 0), (3, 1) })
                    ranges.Add(family, top, target);
            }

            return ranges;
        }
    }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Ranges))]
    public async Task Any_range_is_merged_and_the_chain_reads_the_same(string family, int top, int target)
    {
        using var files = await ChainFiles.CreateAsync(family, 5, seed: (top * 10) + target);
        var merge = await ChainMerge.PlanAsync(files.Leaf, files.Paths[top], files.Paths[target], new ChainOptions(), None);
        await merge.RunAsync(_ => { }, None);
        await AssertMergedAsync(files, top, target);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("VHDX", 4, 2)]
    [InlineData("VHDX", 3, 1)]
    [InlineData("VHD", 4, 2)]
    [InlineData("VHD", 3, 1)]
    public async Task A_merge_killed_before_any_step_reads_the_same_and_is_finished_by_the_same_call(string family, int top, int target)
    {
        foreach (var step in new[] { "copy", "halfway", "metadata", "relink", "identity", "remove" })
        {
            using var files = await ChainFiles.CreateAsync(family, 5, seed: step.Length);
            var merge = await ChainMerge.PlanAsync(files.Leaf, files.Paths[top], files.Paths[target], new ChainOptions(), None);
            merge.BeforeStep = next => ThrowAt(next == step);
            var copied = 0L;
            await Assert.ThrowsAsync<TimeoutException>(
                async () => await merge.RunAsync(done => ThrowAt(step == "halfway" && (copied = done.BytesDone) > 0), None));
            if (top < 4)
                AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
            else if (step is "copy" or "halfway" or "metadata" or "relink" or "identity")
                AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
            else
                AssertSame(files.Contents[top], await ChainFiles.ReadAsync(files.Paths[target]));
            var again = await ChainMerge.PlanAsync(files.Leaf, files.Paths[top], files.Paths[target], new ChainOptions(), None);
            await again.RunAsync(_ => { }, None);
            await AssertMergedAsync(files, top, target);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_of_another_child_is_not_merged_into()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 20);
        var sibling = files.File("sibling.vhdx");
        await ChildImage.CreateAsync(sibling, files.Paths[1], null, null, PathMap.Empty, None);
        var merge = await ChainMerge.PlanAsync(files.Leaf, null, null, new ChainOptions(), None);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await merge.RequireNoOtherChildrenAsync(None));
        Assert.Contains(sibling, error.Reason, StringComparison.Ordinal);
        File.Delete(sibling);
        await merge.RequireNoOtherChildrenAsync(None);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_larger_child_makes_its_parent_grow()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 21);
        await files.AddAsync(ChainFiles.Size + (2 << 20));
        var merge = await ChainMerge.PlanAsync(files.Leaf, null, files.Paths[0], new ChainOptions(), None);
        await merge.RunAsync(_ => { }, None);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Paths[0]));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdDynamic)]
    public async Task A_parent_that_cannot_grow_to_its_child_is_refused_before_anything_is_written(ImageFormat format)
    {
        using var folder = new TempFolder();
        var family = format == ImageFormat.VhdDynamic ? "vhd" : "vhdx";
        var (parent, child) = (folder.File($"parent.{family}"), folder.File($"child.{family}"));
        var options = new ImageCreateOptions { BlockSize = 1 << 20 };
        await DiskImage.CreateAsync(parent, format, 4 << 20, options, None);
        await ChildImage.CreateAsync(child, parent, 200L << 30, options, PathMap.Empty, None);
        var before = (File.ReadAllBytes(parent), new FileInfo(child).Length);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await ChainMerge.PlanAsync(child, null, null, new ChainOptions(), None));
        Assert.Equal((StorageErrorKind.Unsupported, child), (error.Kind, error.Path));
        Assert.Contains($"{parent} cannot grow from 4194304 to the 214748364800 bytes", error.Reason, StringComparison.Ordinal);
        Assert.Contains("godwit disk convert", error.Reason, StringComparison.Ordinal);
        AssertSame(before.Item1, File.ReadAllBytes(parent));
        Assert.Equal(before.Length, new FileInfo(child).Length);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(2, 0)]
    [InlineData(1, 0)]
    public async Task The_target_presents_the_disk_that_the_merged_layer_was(int top, int target)
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 24);
        var id = Guid.NewGuid();
        for (var layer = 2; layer <= 3; layer++)
            await files.AddAsync(new ImageCreateOptions { BlockSize = 1 << 20, Identifier = id });
        await (await ChainMerge.PlanAsync(files.Leaf, files.Paths[top], files.Paths[target], new ChainOptions(), None)).RunAsync(_ => { }, None);
        var merged = await DiskImage.DescribeAsync(files.Paths[target], None);
        Assert.Equal(top == 2, merged.Identifier == id);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Fact(Timeout = 60_000)]
    public async Task Layers_that_are_not_below_or_not_of_the_chain_are_refused()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 22);
        await RefusedAsync(files.Leaf, files.Paths[1], files.Paths[2]);
        await RefusedAsync(files.Leaf, files.Paths[0], null);
        await RefusedAsync(files.Leaf, null, files.Leaf);
        using var others = await ChainFiles.CreateAsync("VHDX", 2, seed: 23);
        await RefusedAsync(files.Leaf, others.Leaf, null);
        await RefusedAsync(files.Leaf, null, others.Leaf);
    }

    private static async Task RefusedAsync(string leaf, string? top, string? into)
    {
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await ChainMerge.PlanAsync(leaf, top, into, new ChainOptions(), None));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
    }

    private static void ThrowAt(bool here)
    {
        if (here)
            throw new TimeoutException("killed here");
    }

    private static async Task AssertMergedAsync(ChainFiles files, int top, int target)
    {
        for (var layer = target + 1; layer <= top; layer++)
            Assert.False(File.Exists(files.Paths[layer]), $"layer {layer} is still there");
        AssertSame(files.Contents[top], await ChainFiles.ReadAsync(files.Paths[target]));
        var leaf = top == 4 ? files.Paths[target] : files.Leaf;
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(leaf));
        Assert.All(
            await ChainCheck.RunAsync(leaf, new ChainOptions(), None),
            layer => Assert.DoesNotContain(layer.Report.Findings, finding => finding.Severity == CheckSeverity.Error));
    }

    private static void AssertSame(byte[] expected, byte[] actual) => Assert.True(expected.AsSpan().SequenceEqual(actual), "the content differs");
}
