using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Chains;
using Godwit.Storage.Tests.FileSystems;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Compaction of files: chains, and who else has the image as its parent.</summary>
public sealed class DiskCompactFileTests : IDisposable
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task Every_layer_of_a_chain_can_be_compacted_and_the_chain_reads_the_same(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 50);
        foreach (var path in files.Paths)
        {
            var result = await DiskCompact.RunAsync(path, new ChainOptions(), new CompactOptions(), _ => { }, None);
            Assert.True(result.LengthAfter <= result.LengthBefore);
            Assert.Equal(path != files.Leaf, result.Notes.Any(note => note.Contains("as its parent", StringComparison.Ordinal)));
            Assert.Equal(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_that_may_be_another_one_is_not_taken_at_its_word()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 51);
        await using (var disk = await DiskImage.OpenAsync(files.Paths[0], null, readOnly: false, None))
            await disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
        var before = await File.ReadAllBytesAsync(files.Leaf, None);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskCompact.RunAsync(
            files.Leaf, new ChainOptions { IgnoreParentMismatch = true }, new CompactOptions(), _ => { }, None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
        Assert.Equal(before, await File.ReadAllBytesAsync(files.Leaf, None));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_vhdx_whose_unused_space_went_is_another_disk_to_children_elsewhere()
    {
        Assert.SkipUnless(FileSystemImage.CanMake("ext4"), "mke2fs is not installed");
        using var image = await FileSystemImage.CreateAsync("ext4", 24 * MiB);
        var path = _folder.File("base.vhdx");
        await using (var disk = await OperationsRig.CreateImageAsync(path, ImageFormat.VhdxDynamic, 26 * MiB, MiB, None))
        {
            await TableOfTest.WriteMbrAsync(disk, 0, (0x83, 2048, 24 * MiB / 512));
            await disk.WriteAsync(MiB, await File.ReadAllBytesAsync(image.Path, None), WriteFlags.None, None);
        }

        Directory.CreateDirectory(_folder.File("elsewhere"));
        var child = _folder.File("elsewhere/child.vhdx");
        await ChildImage.CreateAsync(child, path, null, new ImageCreateOptions(), PathMap.Empty, None);
        var zeroes = await DiskCompact.RunAsync(path, new ChainOptions(), new CompactOptions { ZeroesOnly = true }, _ => { }, None);
        Assert.Equal((0L, 0), (zeroes.Unused, zeroes.Partitions.Count));
        await (await DiskImage.OpenAsync(child, null, readOnly: true, None)).DisposeAsync();
        Assert.True((await DiskCompact.RunAsync(path, new ChainOptions(), new CompactOptions(), _ => { }, None)).Unused > 0);
        var refused = await Assert.ThrowsAsync<StorageException>(async () => await DiskImage.OpenAsync(child, null, readOnly: true, None));
        Assert.Equal(StorageErrorKind.ParentMismatch, refused.Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_partition_with_two_marks_or_beside_another_or_as_a_part_is_left_alone()
    {
        Assert.SkipUnless(FileSystemImage.CanMake("ext4"), "mke2fs is not installed");
        using var image = await FileSystemImage.CreateAsync("ext4", 24 * MiB);
        var content = await File.ReadAllBytesAsync(image.Path, None);
        var marked = (byte[])content.Clone();
        "LUKS"u8.CopyTo(marked);
        marked[4] = 0xba;
        marked[5] = 0xbe;
        Assert.Contains("not known", await ReasonAsync(marked, (0x83, 2048, 49152)), StringComparison.Ordinal);
        Assert.Contains("overlaps", await ReasonAsync(content, (0x83, 2048, 49152), (0x83, 40000, 100)), StringComparison.Ordinal);
        Assert.Contains("part of something larger", await ReasonAsync(content, (0xfd, 2048, 49152)), StringComparison.Ordinal);
        Assert.Contains("more than its partition", await ReasonAsync(content, (0x83, 2048, 49144)), StringComparison.Ordinal);
        Assert.Contains("past the end", await ReasonAsync(content, (0x83, 2048, 1 << 24)), StringComparison.Ordinal);
        Assert.Equal("", await ReasonAsync(content, (0x83, 2048, 49152)));
    }

    private async Task<string> ReasonAsync(byte[] partition, params (byte Type, uint Start, uint Count)[] entries)
    {
        var path = _folder.File($"{Guid.NewGuid():n}.raw");
        await using (var disk = await OperationsRig.CreateImageAsync(path, ImageFormat.Raw, 26 * MiB, null, None))
        {
            await TableOfTest.WriteMbrAsync(disk, 0, entries);
            await disk.WriteAsync(MiB, partition, WriteFlags.None, None);
        }

        var result = await DiskCompact.RunAsync(
            path, new ChainOptions { Format = ImageFormat.Raw }, new CompactOptions { DryRun = true }, _ => { }, None);
        Assert.Equal(result.Partitions[0].Reason is null, result.Unused > 0);
        return result.Partitions[0].Reason ?? "";
    }
}
