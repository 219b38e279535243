using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.FileSystems;

/// <summary>Compaction under file systems made by their own tools, judged by those tools.</summary>
[Trait("Tier", "process")]
public sealed class FreeSpaceToolsTests
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData("ext2", "ext2", 24, "vhdx", "-b 1024")]
    [InlineData("ext3", "ext3", 40, "vhd", "")]
    [InlineData("ext4", "ext4", 40, "vhdx", "")]
    [InlineData("ext4", "ext4", 40, "raw", "-b 1024 -O 64bit,metadata_csum")]
    [InlineData("ext4", "ext4", 40, "vhdx", "-b 1024 -g 1024 -O meta_bg,^resize_inode,uninit_bg,^metadata_csum")]
    [InlineData("ext4", "ext4", 40, "vhdx", "-b 1024 -g 2048 -O ^flex_bg,^64bit,uninit_bg,^metadata_csum")]
    [InlineData("vfat", "FAT12", 16, "vhdx", "-F 12 -s 16")]
    [InlineData("vfat", "FAT16", 40, "vhd", "-F 16")]
    [InlineData("vfat", "FAT32", 40, "vhdx", "-F 32 -s 1")]
    [InlineData("ntfs", "NTFS", 40, "vhdx", "")]
    [InlineData("ntfs", "NTFS", 40, "raw", "-c 512")]
    [InlineData("exfat", "exFAT", 40, "vhdx", "")]
    public async Task What_a_file_system_does_not_use_goes_and_its_files_stay(string kind, string name, int mebibytes, string format, string options)
    {
        Assert.SkipUnless(FileSystemImage.CanMake(kind), $"the tools for {kind} are not installed");
        using var image = await FileSystemImage.CreateAsync(kind, mebibytes * MiB, options.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var path = await MakeDiskAsync(image, format);
        var result = await DiskCompact.RunAsync(path, new(), new CompactOptions(), _ => { }, None);

        var partition = Assert.Single(result.Partitions);
        Assert.Equal((name, null), (partition.FileSystem, partition.Reason));
        Assert.True(result.Unused + result.Inside > (mebibytes - 14) * MiB * 0.9, $"{result}");
        Assert.True(result.AllocatedAfter < result.AllocatedBefore - ((mebibytes - 16) * MiB), $"{result}");
        if (format != "raw")
            Assert.True((await DiskImage.CheckAsync(path, None)).IsSound);
        await image.JudgeAsync(kind, await ExtractAsync(image, path));
        await JudgeFormatAsync(image, path, format);

        var again = await DiskCompact.RunAsync(path, new(), new CompactOptions(), _ => { }, None);
        Assert.Equal((0L, 0L, 0L, 0L), (again.Zero, again.Unused, again.Inside, again.BlocksMoved));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("ext4", "feature needs_recovery", "journal")]
    [InlineData("ext4", "set_super_value state 0", "unmounted")]
    [InlineData("ext4", "set_super_value state 3", "errors")]
    [InlineData("ext4", "feature 0x100", "features")]
    public async Task An_ext_that_was_not_left_in_order_is_left_alone(string kind, string command, string reason)
    {
        Assert.SkipUnless(FileSystemImage.CanMake(kind), $"the tools for {kind} are not installed");
        using var image = await FileSystemImage.CreateAsync(kind, 24 * MiB);
        if (command.EndsWith("0x100", StringComparison.Ordinal))
            command = "set_super_value feature_incompat 0x1000000";
        await image.RunAsync("debugfs", "-w", "-R", command, image.Path);
        Assert.Contains(reason, await RefusalAsync(image), StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vfat", "-F 32 -s 1", 65, 1, "unmounted")]
    [InlineData("vfat", "-F 16", 37, 1, "unmounted")]
    [InlineData("exfat", "", 106, 2, "unmounted")]
    public async Task A_volume_marked_dirty_is_left_alone(string kind, string options, int at, byte bit, string reason)
    {
        Assert.SkipUnless(FileSystemImage.CanMake(kind), $"the tools for {kind} are not installed");
        using var image = await FileSystemImage.CreateAsync(kind, 40 * MiB, options.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var bytes = await File.ReadAllBytesAsync(image.Path, None);
        bytes[at] |= bit;
        await File.WriteAllBytesAsync(image.Path, bytes, None);
        Assert.Contains(reason, await RefusalAsync(image), StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task An_ntfs_that_is_dirty_or_in_use_or_hibernated_is_left_alone()
    {
        Assert.SkipUnless(FileSystemImage.CanMake("ntfs"), "the tools for ntfs are not installed");
        using var image = await FileSystemImage.CreateAsync("ntfs", 24 * MiB);
        var clean = await File.ReadAllBytesAsync(image.Path, None);
        await image.RunAsync("ntfsfix", image.Path);
        Assert.Contains("dirty", await RefusalAsync(image), StringComparison.Ordinal);

        await File.WriteAllBytesAsync(image.Path, NtfsPages.WithLog(clean, inUse: true), None);
        Assert.Contains("journal", await RefusalAsync(image), StringComparison.Ordinal);
        await File.WriteAllBytesAsync(image.Path, NtfsPages.WithLog(clean, inUse: false), None);
        Assert.Equal("", await RefusalAsync(image));

        await File.WriteAllBytesAsync(image.Path, clean, None);
        var memory = new byte[100_000];
        "hibr"u8.CopyTo(memory);
        await File.WriteAllBytesAsync(image.At("hiber"), memory, None);
        await image.RunAsync("ntfscp", image.Path, image.At("hiber"), "hiberfil.sys");
        Assert.Contains("hibernated", await RefusalAsync(image), StringComparison.Ordinal);
    }

    /// <summary>Why the file system is not used; empty when it is.</summary>
    private static async Task<string> RefusalAsync(FileSystemImage image)
    {
        await using var disk = await DiskImage.OpenAsync(image.Path, ImageFormat.Raw, readOnly: true, None);
        return (await FileSystemProbe.OpenAsync(new PartitionReader(disk, 0, disk.Length), None)).Reason ?? "";
    }

    /// <summary>A disk of three MiB more with the file system in its only partition.</summary>
    private static async Task<string> MakeDiskAsync(FileSystemImage image, string format)
    {
        var path = image.At($"disk.{format}");
        var kind = format switch
        {
            "vhdx" => ImageFormat.VhdxDynamic,
            "vhd" => ImageFormat.VhdDynamic,
            _ => ImageFormat.Raw,
        };
        await using var disk = await CreateDiskAsync(path, kind, image.Size + (3 * MiB));
        await TableOfTest.WriteMbrAsync(disk, 0, (0x83, 2048, (uint)(image.Size / 512)));
        await disk.WriteAsync(MiB, await File.ReadAllBytesAsync(image.Path, None), WriteFlags.None, None);
        return path;
    }

    private static Task<BlockDevice> CreateDiskAsync(string path, ImageFormat format, long size) =>
        Operations.OperationsRig.CreateImageAsync(path, format, size, format == ImageFormat.VhdxDynamic ? MiB : null, None);

    private static async Task<string> ExtractAsync(FileSystemImage image, string path)
    {
        await using var disk = await DiskImage.OpenAsync(path, null, readOnly: true, None);
        var bytes = new byte[image.Size];
        await disk.ReadAsync(MiB, bytes, None);
        await File.WriteAllBytesAsync(image.At("after.raw"), bytes, None);
        return image.At("after.raw");
    }

    /// <summary>QEMU and 7-Zip read what we read.</summary>
    private static async Task JudgeFormatAsync(FileSystemImage image, string path, string format)
    {
        if (format == "raw" || FileSystemImage.Tool("qemu-img") is null)
            return;
        var raw = image.At("whole.raw");
        await using (var disk = await DiskImage.OpenAsync(path, null, readOnly: true, None))
            await File.WriteAllBytesAsync(raw, await Operations.OperationsRig.ReadAllAsync(disk, None), None);
        var driver = format == "vhd" ? "vpc" : "vhdx";
        if (driver == "vhdx")
            await image.RunAsync("qemu-img", "check", "-f", driver, path);
        await image.RunAsync("qemu-img", "compare", "-f", driver, "-F", "raw", path, raw);
        if (FileSystemImage.Tool("7zz") is not string)
            return;
        await image.RunAsync("7zz", "x", "-y", $"-t{format}", $"-o{image.At("seven")}", path);
        var extracted = Assert.Single(Directory.GetFiles(image.At("seven")));
        Assert.Equal(await File.ReadAllBytesAsync(raw, None), await File.ReadAllBytesAsync(extracted, None));
    }
}
