using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Chains;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

public sealed class ChainRebaseTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX", 0)]
    [InlineData("VHDX", 1)]
    [InlineData("VHD", 0)]
    [InlineData("VHD", 1)]
    public async Task A_layer_gets_a_parent_further_down_and_reads_the_same(string family, int parent)
    {
        using var files = await ChainFiles.CreateAsync(family, 4, seed: 30 + parent);
        var written = await new ChainRebase(files.Leaf, files.Paths[parent], new ChainOptions()).RunAsync(_ => { }, None);
        Assert.True(written > 0);
        for (var layer = parent + 1; layer < 3; layer++)
            File.Delete(files.Paths[layer]);
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_layer_gets_a_stranger_as_its_parent_and_reads_the_same(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 40);
        using var others = await ChainFiles.CreateAsync(family, 2, seed: 41);
        await new ChainRebase(files.Leaf, others.Leaf, new ChainOptions()).RunAsync(_ => { }, None);
        File.Delete(files.Paths[0]);
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    /// <summary>Zeroes that only the old, empty parent had must be the image's own before the new parent is under it.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task Zeroes_of_an_empty_parent_stay_zeroes_over_a_full_one(string family)
    {
        using var files = new ChainFiles(family, seed: 46);
        using var full = new ChainFiles(family, seed: 47);
        await files.AddEmptyAsync();
        await files.AddAsync();
        await full.AddEmptyAsync();
        var bytes = new byte[ChainFiles.Size];
        Array.Fill(bytes, (byte)0x5A);
        await using (var disk = await DiskImage.OpenAsync(full.Leaf, null, readOnly: false, None))
            await disk.WriteAsync(0, bytes, WriteFlags.None, None);
        await new ChainRebase(files.Leaf, full.Leaf, new ChainOptions()).RunAsync(_ => { }, None);
        File.Delete(files.Paths[0]);
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        Assert.Contains(full.Leaf, (await DiskChain.DescribeAsync(files.Leaf, new ChainOptions(), None)).Select(layer => layer.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_rebase_stopped_on_the_way_reads_the_same_and_is_finished_later()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 42);
        using var others = await ChainFiles.CreateAsync("VHDX", 1, seed: 43);
        var rebase = new ChainRebase(files.Leaf, others.Leaf, new ChainOptions());
        await Assert.ThrowsAsync<TimeoutException>(async () => await rebase.RunAsync(
            progress =>
            {
                if (progress.BytesDone > ChainFiles.Size / 2)
                    throw new TimeoutException("killed here");
            },
            None));
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        await new ChainRebase(files.Leaf, others.Leaf, new ChainOptions()).RunAsync(_ => { }, None);
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_mismatch_below_the_new_parent_is_ignored_only_by_word()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 46);
        using var others = await ChainFiles.CreateAsync("VHDX", 2, seed: 47);
        await using (var bottom = await DiskImage.OpenAsync(others.Paths[0], null, readOnly: false, None))
            await bottom.WriteAsync(0, new byte[512], WriteFlags.None, None);
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await new ChainRebase(files.Leaf, others.Leaf, new ChainOptions()).RunAsync(_ => { }, None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
        var byWord = new ChainOptions { IgnoreParentMismatch = true };
        var measured = await new ChainRebase(files.Leaf, others.Leaf, byWord).MeasureAsync(_ => { }, None);
        Assert.Equal(measured, await new ChainRebase(files.Leaf, others.Leaf, byWord).RunAsync(_ => { }, None));
        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf, byWord));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_cannot_be_a_parent_is_refused_and_nothing_changes()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 44);
        using var vhd = await ChainFiles.CreateAsync("VHD", 1, seed: 45);
        foreach (var (path, parent) in new[] { (files.Paths[0], files.Leaf), (files.Leaf, files.Leaf), (files.Leaf, vhd.Leaf) })
        {
            var error = await Assert.ThrowsAsync<StorageException>(
                async () => await new ChainRebase(path, parent, new ChainOptions()).RunAsync(_ => { }, None));
            Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        }

        Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }
}
