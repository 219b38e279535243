using System.Text.Json;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Images exchanged with programs that are not ours: qemu-img, qemu-io, 7-Zip.</summary>
[Trait("Tier", "process")]
public sealed class VhdToolsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(false, 2 * MiB)]
    [InlineData(false, 512 << 10)]
    [InlineData(true, 2 * MiB)]
    public async Task Qemu_and_7zip_read_what_we_wrote_with_its_exact_size(bool isFixed, int blockSize)
    {
        // No product of cylinders, heads and sectors: who goes by the geometry gets another size.
        const int Size = (20 * MiB) + (3 * 512);
        var path = _folder.File("ours.vhd");
        var raw = _folder.File("expected.raw");
        await CreateAsync(path, new VhdCreateOptions { Size = Size, BlockSize = blockSize, Fixed = isFixed });
        var content = new byte[Size];
        await using (var disk = await OpenAsync(path))
            await WriteSomeAsync(disk, content);
        await File.WriteAllBytesAsync(raw, content, None);

        Assert.Equal(Size, await QemuSizeAsync(path));
        await RunAsync("qemu-img", "compare", "-f", "vpc", "-F", "raw", path, raw);
        Assert.Equal(content, await ExtractAsync(path));
        await RunAsync("qemu-io", "-f", "vpc", "-c", "write -P 0x77 3M 64k", "-c", "write -P 0x78 17M 64k", path);
        await using var again = await OpenAsync(path);
        Assert.All(await ReadAsync(again, 3 * MiB, 65536), value => Assert.Equal(0x77, value));
        Assert.All(await ReadAsync(again, 17 * MiB, 65536), value => Assert.Equal(0x78, value));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("subformat=dynamic")]
    [InlineData("subformat=fixed")]
    [InlineData("subformat=dynamic,force_size=on")]
    [InlineData("subformat=fixed,force_size=on")]
    public async Task We_read_and_write_what_qemu_made_and_take_the_size_it_takes(string options)
    {
        const int Size = (12 * MiB) + 512;
        var raw = _folder.File("source.raw");
        var content = Pattern(1, Size);
        content.AsSpan(4 * MiB, 3 * MiB).Clear();
        await File.WriteAllBytesAsync(raw, content, None);
        var path = _folder.File("qemu.vhd");
        await RunAsync("qemu-img", "convert", "-O", "vpc", "-o", options, raw, path);
        var qemuSize = await QemuSizeAsync(path);
        var report = await CheckAsync(path);
        Assert.True(report.IsSound, string.Join("; ", report.Findings));

        await using (var disk = await OpenAsync(path))
        {
            Assert.Equal(qemuSize, disk.Length);
            Array.Resize(ref content, (int)qemuSize);
            Assert.Equal(content, await ReadAsync(disk, 0, (int)disk.Length));
            await WriteSomeAsync(disk, content);
        }

        await File.WriteAllBytesAsync(raw, content, None);
        Assert.Equal(qemuSize, await QemuSizeAsync(path));
        await RunAsync("qemu-img", "compare", "-f", "vpc", "-F", "raw", path, raw);
        Assert.Equal(content, await ExtractAsync(path));
    }

    [Fact(Timeout = 60_000)]
    public async Task The_size_is_the_geometry_for_qemu_and_virtual_pc_only()
    {
        var path = _folder.File("trap.vhd");
        await RunAsync("qemu-img", "create", "-f", "vpc", "-o", "subformat=fixed,force_size=on", path, "10002432");
        var bytes = await File.ReadAllBytesAsync(path, None);
        foreach (var creator in new[] { "vpc ", "qemu", "qem2", "win ", "d2v ", "tap\0", "CTXS", "wa\0\0", "gdwt" })
        {
            // 287 x 4 x 17 sectors: less than the footer says.
            var footer = bytes.AsSpan(bytes.Length - 512);
            System.Text.Encoding.ASCII.GetBytes(creator, footer[28..]);
            ((ReadOnlySpan<byte>)[0x01, 0x1f, 4, 17]).CopyTo(footer[56..]);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(footer[64..], VhdFormat.Checksum(footer, 64));
            await File.WriteAllBytesAsync(path, bytes, None);
            await using var disk = await OpenAsync(path);
            Assert.Equal(creator is "vpc " or "qemu" ? 9_992_192 : 10_002_432, disk.Length);
            if (creator != "gdwt")
                Assert.Equal(disk.Length, await QemuSizeAsync(path));
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task Seven_zip_reads_a_chain_of_three_we_wrote()
    {
        Assert.SkipWhen(SevenZip() is null, "7-Zip is not installed");
        const int Size = (9 * MiB) + 512;
        var content = new byte[Size];
        var names = new[] { "base.vhd", "middle.vhd", "leaf.vhd" };
        var link = (ParentLink?)null;
        for (var level = 0; level < names.Length; level++)
        {
            await CreateAsync(_folder.File(names[level]), new VhdCreateOptions { Size = Size, Parent = link });
            await using (var disk = await OpenChainAsync(names, level))
            {
                Assert.Equal(content, await ReadAsync(disk, 0, Size));
                foreach (var place in new[] { level * 512, (level + 2) * MiB, Size - ((level + 1) * 512) })
                    await WriteBothAsync(disk, content, place, Pattern(place + level, 512));
                await WriteBothAsync(disk, content, 5 * MiB, Pattern(level, (1 + level) * 65536));
                await disk.TrimAsync(5 * MiB, 4096, None);
                content.AsSpan(5 * MiB, 4096).Clear();
            }

            var own = await DescribeAsync(_folder.File(names[level]));
            link = new ParentLink(own.Linkage!.Value, null, own.Modified, [new ParentPath(ParentPathKind.Relative, @".\" + names[level])]);
        }

        Assert.Equal(content, await ExtractAsync(_folder.File("leaf.vhd")));
    }

    private async Task<VhdDisk> OpenChainAsync(string[] names, int level)
    {
        var parent = level == 0 ? null : await OpenChainAsync(names, level - 1);
        return await VhdSample.OpenAsync(LocalFile.Open(_folder.File(names[level]), readOnly: false), parent: parent);
    }

    private static async Task WriteSomeAsync(VhdDisk disk, byte[] content)
    {
        foreach (var (place, length) in new[] { (0, 5000 * 512), (7 * MiB, 3 * MiB), (content.Length - 512, 512) })
            await WriteBothAsync(disk, content, place, Pattern(place, length));
        await disk.TrimAsync(8 * MiB, 2 * MiB, None);
        content.AsSpan(8 * MiB, 2 * MiB).Clear();
        await WriteBothAsync(disk, content, 9 * MiB, Pattern(9, 4096));
    }

    private static async Task WriteBothAsync(VhdDisk disk, byte[] content, int place, byte[] bytes)
    {
        await disk.WriteAsync(place, bytes, WriteFlags.None, None);
        bytes.CopyTo(content, place);
    }

    private static async Task CreateAsync(string path, VhdCreateOptions options)
    {
        await using var file = LocalFile.Create(path);
        await VhdDisk.CreateAsync(file, options, None);
    }

    private static async Task<VhdDisk> OpenAsync(string path) =>
        await VhdDisk.OpenAsync(LocalFile.Open(path, readOnly: false), new VhdOpenOptions(), None);

    private static async Task<ImageDescription> DescribeAsync(string path)
    {
        await using var file = LocalFile.Open(path, readOnly: true);
        return await VhdDisk.DescribeAsync(file, None);
    }

    private static async Task<CheckReport> CheckAsync(string path)
    {
        await using var file = LocalFile.Open(path, readOnly: true);
        return await VhdCheck.RunAsync(file, None);
    }

    private static async Task<long> QemuSizeAsync(string path)
    {
        var result = await RunAsync("qemu-img", "info", "-U", "--output=json", "-f", "vpc", path);
        using var json = JsonDocument.Parse(result.Output);
        return json.RootElement.GetProperty("virtual-size").GetInt64();
    }

    /// <summary>The disk as 7-Zip reads it.</summary>
    private async Task<byte[]> ExtractAsync(string path)
    {
        if (SevenZip() is not string program)
            return await File.ReadAllBytesAsync(_folder.File("expected.raw"), None);
        var target = _folder.File("extracted");
        if (Directory.Exists(target))
            Directory.Delete(target, recursive: true);
        await RunAsync(program, "x", "-y", "-tVHD", $"-o{target}", path);
        return await File.ReadAllBytesAsync(Assert.Single(Directory.GetFiles(target)), None);
    }

    private static string? SevenZip() => Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);

    private static async Task<CommandResult> RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        var result = await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        Assert.True(result.ExitCode == 0, result.ToString());
        return result;
    }
}
