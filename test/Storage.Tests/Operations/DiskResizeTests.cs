using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Storage.Partitions;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Resizing image files, as a whole operation: what it refuses, what it cuts, and what is left of a run that was ended.</summary>
public sealed class DiskResizeTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdFixed)]
    [InlineData(ImageFormat.VhdDynamic)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdxDynamic)]
    public async Task A_gpt_disk_shrinks_to_its_last_partition_and_keeps_both_copies(ImageFormat format)
    {
        var path = await CreateAsync(format, 32 * MiB);
        await using (var disk = await OpenAsync(path))
        {
            await TableOfTest.WriteGptAsync(disk, 512, 0, (2048, 6143), (8192, 16383));
            await disk.WriteAsync(4 * MiB, ResizeSample.Pattern(1, 4 * MiB), WriteFlags.None, Token);
        }

        var resize = await PlanAsync(path, null);
        Assert.Equal((8 * MiB) + 20480, resize.Size);
        Assert.Equal(resize.Size, resize.SmallestSize);
        Assert.True(resize.MovesBackupTable);
        await resize.RunAsync(static _ => { }, Token);
        await AssertTableAsync(path, (8 * MiB) + 20480);
        Assert.Equal((8 * MiB) + 20480, (await PlanAsync(path, null)).Size);

        await (await PlanAsync(path, 40 * MiB)).RunAsync(static _ => { }, Token);
        await AssertTableAsync(path, 40 * MiB);
        if (format == ImageFormat.VhdxFixed)
            Assert.Equal(2, (await DiskImage.CheckAsync(path, Token)).AllocatedBlocks);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("backup table")]
    [InlineData("shrink")]
    public async Task A_run_that_was_ended_is_finished_by_the_next(string step)
    {
        var path = await CreateAsync(ImageFormat.VhdxDynamic, 32 * MiB);
        await using (var disk = await OpenAsync(path))
        {
            await TableOfTest.WriteGptAsync(disk, 512, 0, (2048, 6143), (8192, 16383));
            await disk.WriteAsync(4 * MiB, ResizeSample.Pattern(1, 4 * MiB), WriteFlags.None, Token);
        }

        var ended = await PlanAsync(path, 16 * MiB);
        ended.BeforeStep = name => throw new OperationCanceledException(name == step ? "ended" : "");
        await Assert.ThrowsAsync<OperationCanceledException>(() => ended.RunAsync(static _ => { }, Token).AsTask());
        await AssertTableAsync(path, 32 * MiB);
        await (await PlanAsync(path, 16 * MiB)).RunAsync(static _ => { }, Token);
        await AssertTableAsync(path, 16 * MiB);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_partition_is_cut_only_by_force_and_named_before()
    {
        var path = await CreateAsync(ImageFormat.VhdxDynamic, 32 * MiB);
        await using (var disk = await OpenAsync(path))
            await TableOfTest.WriteMbrAsync(disk, 0, (0x83, 2048, 2048), (0x07, 8192, 8192));
        var refused = await Assert.ThrowsAsync<StorageException>(() => PlanAsync(path, 7 * MiB));
        Assert.Equal(StorageErrorKind.InvalidRequest, refused.Kind);
        Assert.Contains($"partition 2 (NTFS or exFAT) ends at {8 * MiB}", refused.Reason, StringComparison.Ordinal);
        Assert.Contains($"the smallest size is {8 * MiB} bytes", refused.Reason, StringComparison.Ordinal);
        await (await PlanAsync(path, 8 * MiB)).RunAsync(static _ => { }, Token);

        var forced = await PlanAsync(path, 7 * MiB, force: true);
        Assert.NotNull(forced.Loss);
        await forced.RunAsync(static _ => { }, Token);
        Assert.Equal(7 * MiB, (await DiskImage.DescribeAsync(path, Token)).Size);
    }

    [Fact(Timeout = 60_000)]
    public async Task Without_partitions_only_zeroes_are_cut()
    {
        var path = await CreateAsync(ImageFormat.VhdDynamic, 32 * MiB);
        await using (var disk = await OpenAsync(path))
        {
            await disk.WriteAsync(20 * MiB, new byte[512], WriteFlags.None, Token);
            await disk.WriteAsync((10 * MiB) + 512, ResizeSample.Pattern(1, 512), WriteFlags.None, Token);
        }

        await (await PlanAsync(path, 12 * MiB)).RunAsync(static _ => { }, Token);
        var refused = await Assert.ThrowsAsync<StorageException>(() => PlanAsync(path, 10 * MiB));
        Assert.Contains($"the smallest size is {(10 * MiB) + 4096} bytes", refused.Reason, StringComparison.Ordinal);
        await (await PlanAsync(path, (10 * MiB) + 4096)).RunAsync(static _ => { }, Token);
        Assert.Contains(
            "no partition to go by", (await Assert.ThrowsAsync<StorageException>(() => PlanAsync(path, null))).Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_table_that_cannot_be_read_and_a_windows_dynamic_disk_are_not_cut()
    {
        var path = await CreateAsync(ImageFormat.Raw, 32 * MiB);
        await using (var disk = await OpenAsync(path))
            await TableOfTest.WriteMbrAsync(disk, 0, (0xee, 1, 65535));
        var refused = await Assert.ThrowsAsync<StorageException>(() => PlanAsync(path, 31 * MiB));
        Assert.Contains("no copy of it is valid", refused.Reason, StringComparison.Ordinal);
        await using (var disk = await OpenAsync(path))
            await TableOfTest.WriteMbrAsync(disk, 0, (0x42, 63, 2048));
        refused = await Assert.ThrowsAsync<StorageException>(() => PlanAsync(path, 31 * MiB));
        Assert.Contains("Windows dynamic disk", refused.Reason, StringComparison.Ordinal);
        Assert.Equal(31 * MiB, (await PlanAsync(path, 31 * MiB, force: true)).Size);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdDynamic)]
    public async Task A_child_shrinks_and_grows_over_its_parent_and_a_parent_is_left_alone(ImageFormat format)
    {
        var parent = await CreateAsync(format, 16 * MiB);
        await using (var disk = await OpenAsync(parent))
            await disk.WriteAsync(0, ResizeSample.Pattern(1, 16 * MiB), WriteFlags.None, Token);
        var child = _folder.File("child");
        await ChildImage.CreateAsync(child, parent, 24 * MiB, null, PathMap.Empty, Token);
        await using (var disk = await OpenAsync(child))
            await disk.WriteAsync(20 * MiB, ResizeSample.Pattern(2, MiB), WriteFlags.None, Token);

        await (await PlanAsync(child, 18 * MiB, force: true)).RunAsync(static _ => { }, Token);
        await (await PlanAsync(child, 64 * MiB)).RunAsync(static _ => { }, Token);
        await using (var disk = await OpenAsync(child))
        {
            var bytes = await ResizeSample.ReadAsync(disk, 0, 64 * MiB);
            Assert.True(bytes.AsSpan(0, 16 * MiB).SequenceEqual(ResizeSample.Pattern(1, 16 * MiB)));
            Assert.False(bytes.AsSpan(16 * MiB).ContainsAnyExcept((byte)0));
        }

        await (await PlanAsync(child, 8 * MiB, force: true)).RunAsync(static _ => { }, Token);
        var refused = await Assert.ThrowsAsync<StorageException>(() => PlanAsync(child, 24 * MiB));
        Assert.Contains("would show the parent's bytes", refused.Reason, StringComparison.Ordinal);
        var grown = await PlanAsync(parent, 32 * MiB);
        refused = await Assert.ThrowsAsync<StorageException>(() => grown.RequireNoChildrenAsync(Token).AsTask());
        Assert.Contains(child, refused.Reason, StringComparison.Ordinal);
        await (await PlanAsync(child, 8 * MiB)).RequireNoChildrenAsync(Token);
    }

    private async Task AssertTableAsync(string path, long size)
    {
        Assert.True((await DiskImage.CheckAsync(path, Token)).IsSound);
        await using var disk = await DiskImage.OpenAsync(path, null, readOnly: true, Token);
        Assert.Equal(size, disk.Length);
        var table = await PartitionTable.ReadAsync(disk, Token);
        Assert.Equal([(MiB, 3 * MiB), (4 * MiB, 8 * MiB)], table.Partitions.Select(one => ((int)one.Start, (int)one.End)));
        Assert.Empty(table.Problems);
        Assert.Equal(ResizeSample.Pattern(1, 4 * MiB), await ResizeSample.ReadAsync(disk, 4 * MiB, 4 * MiB));
    }

    private async Task<string> CreateAsync(ImageFormat format, long size)
    {
        var path = _folder.File("disk");
        await DiskImage.CreateAsync(path, format, size, null, Token);
        return path;
    }

    private static ValueTask<BlockDevice> OpenAsync(string path) => DiskImage.OpenAsync(path, null, readOnly: false, Token);

    private static async Task<DiskResize> PlanAsync(string path, long? size, bool force = false) => await DiskResize.PlanAsync(
        path, new DiskResizeRequest { Size = size, Force = force }, new ChainOptions(), static _ => { }, Token);
}
