using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

public sealed class DiskChainTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX", 4)]
    [InlineData("VHD", 4)]
    public async Task Every_layer_reads_as_it_was_written_over_those_below(string family, int layers)
    {
        using var files = await ChainFiles.CreateAsync(family, layers, seed: 1);
        for (var index = 0; index < layers; index++)
            AssertSame(files.Contents[index], await ChainFiles.ReadAsync(files.Paths[index]));
        var described = await DiskChain.DescribeAsync(files.Leaf, new ChainOptions(), None);
        Assert.Equal(Enumerable.Reverse(files.Paths), described.Select(layer => layer.Path));
        Assert.All(described.SkipLast(1), layer => Assert.NotNull(layer.Description.Parent));
        Assert.All(await ChainCheck.RunAsync(files.Leaf, new ChainOptions(), None), layer => Assert.DoesNotContain(
            layer.Report.Findings, finding => finding.Severity == CheckSeverity.Error));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_chain_of_sixty_opens_and_reads(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 1, seed: 2);
        for (var layer = 1; layer < 60; layer++)
            await files.AddAsync();
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_larger_child_reads_zeroes_behind_its_parent(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 2, seed: 3);
        await files.AddAsync(ChainFiles.Size + (3 << 20));
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task Extents_tell_the_layer_and_data_is_never_called_zero(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 4);
        var chain = await DiskChain.OpenAsync(files.Leaf, new ChainOptions { ReadOnly = true }, None);
        await using var device = chain.Device;
        var seen = new HashSet<int>();
        for (long at = 0; at < device.Length;)
        {
            var run = await device.GetExtentAsync(at, device.Length - at, None);
            Assert.InRange(run.Layer, 0, 2);
            seen.Add(run.Layer);

            // What a layer decides is what the chain up to it reads as; the layers above have nothing there.
            var content = files.Contents[files.Paths.Count - 1 - run.Layer].AsSpan((int)run.Offset, (int)run.Length);
            Assert.True(content.SequenceEqual(files.Contents[^1].AsSpan((int)run.Offset, (int)run.Length)));
            if (run.ReadsAsZeroes)
                Assert.False(content.ContainsAnyExcept((byte)0));
            at = run.End;
        }

        Assert.Equal([0, 1, 2], seen.Order());
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_that_was_written_to_is_refused_by_name_and_taken_only_by_word()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 5);
        await using (var parent = await DiskImage.OpenAsync(files.Paths[0], null, readOnly: false, None))
            await parent.WriteAsync(0, new byte[512], WriteFlags.None, None);
        var error = await RefusedAsync(files.Leaf, StorageErrorKind.ParentMismatch);
        Assert.Equal(files.Paths[1], error.Path);
        Assert.Contains(files.Paths[0], error.Reason, StringComparison.Ordinal);
        var report = await ChainCheck.RunAsync(files.Leaf, new ChainOptions(), None);
        Assert.Equal([0, 1], report.Select(layer => layer.Report.Errors));
        await ChainFiles.ReadAsync(files.Leaf, new ChainOptions { IgnoreParentMismatch = true });
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_missing_parent_is_reported_with_every_place_tried(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 6);
        File.Move(files.Paths[0], files.Paths[0] + ".away");
        var error = await RefusedAsync(files.Leaf, StorageErrorKind.ParentNotFound);
        Assert.Equal(files.Paths[1], error.Path);
        Assert.Contains($"tried {files.Paths[0]}", error.Reason, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_moved_parent_is_found_again_once_its_place_is_written(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 7);
        Directory.CreateDirectory(files.File("bases"));
        var moved = files.File("bases/golden");
        File.Move(files.Paths[0], moved);
        await ChildImage.SetParentAsync(files.Paths[1], moved, new ChainOptions(), None);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task Another_file_is_no_parent(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 2, seed: 8);
        using var others = await ChainFiles.CreateAsync(family, 1, seed: 9);
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await ChildImage.SetParentAsync(files.Leaf, others.Leaf, new ChainOptions(), None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_circle_is_refused(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 10);
        var middle = new ChainLayer(files.Paths[1], await DiskImage.DescribeAsync(files.Paths[1], None));
        var leaf = new ChainLayer(files.Leaf, await DiskImage.DescribeAsync(files.Leaf, None));
        await LayerLinks.SetParentAsync(files.Paths[1], middle.Description.Format, ChildImage.LinkTo(files.Paths[1], leaf), None);
        var options = new ChainOptions { IgnoreParentMismatch = true };
        var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskChain.OpenAsync(files.Leaf, options, None));
        Assert.Equal((StorageErrorKind.Corrupt, files.Paths[1]), (error.Kind, error.Path));
        Assert.Contains("circle", error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_chain_deeper_than_allowed_is_refused()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 4, seed: 11);
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await DiskChain.OpenAsync(files.Leaf, new ChainOptions { MaxDepth = 3 }, None));
        Assert.Contains("more than 3 layers", error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_that_is_no_image_is_never_read_as_a_parent()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 12);
        File.WriteAllBytes(files.Paths[0], new byte[1 << 20]);
        var options = new ChainOptions { IgnoreParentMismatch = true };
        var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskChain.OpenAsync(files.Leaf, options, None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task Closing_the_disk_closes_every_layer()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 13);
        var device = await DiskImage.OpenAsync(files.Leaf, null, readOnly: false, None);
        var held = await Assert.ThrowsAsync<StorageException>(
            async () => await DiskImage.OpenAsync(files.Paths[0], null, readOnly: false, None));
        Assert.Equal(StorageErrorKind.InUse, held.Kind);
        await device.DisposeAsync();
        await using var again = await DiskImage.OpenAsync(files.Paths[0], null, readOnly: false, None);
    }

    private static async Task<StorageException> RefusedAsync(string path, StorageErrorKind kind)
    {
        var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskChain.OpenAsync(path, new ChainOptions(), None));
        Assert.Equal(kind, error.Kind);
        return error;
    }

    private static void AssertSame(byte[] expected, byte[] actual) => Assert.True(expected.AsSpan().SequenceEqual(actual), "the content differs");
}
