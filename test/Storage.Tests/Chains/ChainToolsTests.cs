using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>Chains read by programs that are not ours. 7-Zip finds parents beside the child and reads both families; QEMU refuses a
/// differencing VHDX, so it gets what a chain was converted to.</summary>
[Trait("Tier", "process")]
public sealed class ChainToolsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_chain_of_three_reads_the_same_in_7zip_and_converted_in_qemu(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 3, seed: 21);
        var raw = _folder.File("converted.raw");
        var image = _folder.File("converted.vhdx");
        await using (var target = await DiskImage.OpenAsync(await CreateAsync(raw, ImageFormat.Raw), null, readOnly: false, None))
            await ConvertAsync(files.Leaf, target);
        AssertSame(files.Contents[^1], await File.ReadAllBytesAsync(raw, None));
        await using (var target = await DiskImage.OpenAsync(await CreateAsync(image, ImageFormat.VhdxDynamic), null, readOnly: false, None))
            await ConvertAsync(files.Leaf, target);
        await RunAsync("qemu-img", "compare", "-f", "vhdx", "-F", "raw", image, raw);
        if (SevenZip() is not string sevenZip)
            return;
        for (var layer = 0; layer < 3; layer++)
            AssertSame(files.Contents[layer], await ExtractAsync(sevenZip, family, files.Paths[layer]));
    }

    /// <summary>Why a VM's chain is never given to QEMU itself.</summary>
    [Fact(Timeout = 60_000)]
    public async Task Qemu_opens_no_differencing_vhdx()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 22);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var result = await ChildProgram.RunAsync("qemu-img", ["info", files.Leaf], null, limit.Token);
        Assert.NotEqual(0, result.ExitCode);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    /// <summary>[MS-VHDX] 2.6.2.4 wants the sectors of parent and child alike, and we make no others. Other programs do.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData(4096, 512, true)]
    [InlineData(512, 4096, false)]
    [InlineData(4096, 4096, true)]
    public async Task Sectors_that_differ_between_the_layers_are_read_and_written(int parentSector, int childSector, bool sevenZipReadsIt)
    {
        const int Size = 12 << 20;
        var expected = VhdxSample.Pattern(1, Size);
        expected.AsSpan(5 << 20, 2 << 20).Clear();
        var below = _folder.File("below.vhdx");
        var child = _folder.File("child.avhdx");
        await CreateAsync(below, new VhdxCreateOptions { Size = Size, BlockSize = 1 << 20, LogicalSectorSize = parentSector });
        await using (var disk = await DiskImage.OpenAsync(below, null, readOnly: false, None))
            await disk.WriteAsync(0, expected, WriteFlags.None, None);
        var linkage = (await DiskImage.DescribeAsync(below, None)).Linkage!.Value;
        var link = new ParentLink(linkage, null, null, [new ParentPath(ParentPathKind.Relative, "below.vhdx")]);
        await CreateAsync(child, new VhdxCreateOptions { Size = Size, BlockSize = 2 << 20, LogicalSectorSize = childSector, Parent = link });
        await using (var disk = await DiskImage.OpenAsync(child, null, readOnly: false, None))
        {
            Assert.Equal(childSector, disk.Capabilities.SectorSize);
            foreach (var (offset, length) in new[]
            {
                (childSector, childSector), ((3 << 20) - 4096, 8192), ((5 << 20) + 4096, 3 * childSector), (Size - childSector, childSector),
            })
            {
                VhdxSample.Pattern(offset, length).CopyTo(expected, offset);
                await disk.WriteAsync(offset, expected.AsMemory(offset, length), WriteFlags.None, None);
            }

            await disk.WriteZeroesAsync(8 << 20, (2 << 20) + childSector, WriteFlags.None, None);
            expected.AsSpan(8 << 20, (2 << 20) + childSector).Clear();
        }

        AssertSame(expected, await ChainFiles.ReadAsync(child));
        if (sevenZipReadsIt && SevenZip() is string sevenZip)
            AssertSame(expected, await ExtractAsync(sevenZip, "VHDX", child));
    }

    /// <summary>The images the other tests put together by hand are what 7-Zip takes them for, too.</summary>
    [Fact(Timeout = 60_000)]
    public async Task A_child_made_by_hand_reads_the_same_in_7zip()
    {
        Assert.SkipWhen(SevenZip() is null, "7-Zip is not installed");
        var below = new ForeignVhdx();
        below.Block(2, ForeignVhdx.FullyPresent, 8);
        below.Put(8 << 20, VhdxSample.Pattern(8, 2 << 20));
        await below.SaveAsync(_folder.File("base.vhdx"));
        var child = new ForeignVhdx
        {
            DataWriteGuid = Guid.NewGuid(),
            Locator = ForeignVhdx.LocatorOf(
                ("parent_linkage", below.DataWriteGuid.ToString("B")), ("relative_path", @".\base.vhdx"), ("absolute_win32_path", @"\\?\D:\vms\base.vhdx")),
        };
        child.Block(2, ForeignVhdx.PartiallyPresent, 6);
        child.Bitmap(0, ForeignVhdx.FullyPresent, 11);
        child.Put((11 << 20) + 1024, VhdxSample.Pattern(1, 512));
        child.Put(6 << 20, VhdxSample.Pattern(6, 2 << 20));
        await child.SaveAsync(_folder.File("child.avhdx"));
        AssertSame(await ChainFiles.ReadAsync(_folder.File("child.avhdx")), await ExtractAsync(SevenZip()!, "VHDX", _folder.File("child.avhdx")));
    }

    private static async Task<string> CreateAsync(string path, ImageFormat format)
    {
        await DiskImage.CreateAsync(path, format, ChainFiles.Size, new ImageCreateOptions(), None);
        return path;
    }

    private static async Task CreateAsync(string path, VhdxCreateOptions options)
    {
        await using var file = LocalFile.Create(path);
        await VhdxDisk.CreateAsync(file, options, None);
    }

    /// <summary>What "disk convert" does with a chain.</summary>
    private static async Task ConvertAsync(string leaf, BlockDevice target)
    {
        await using var source = (await DiskChain.OpenAsync(leaf, new ChainOptions { ReadOnly = true }, None)).Device;
        await new DiskCopy(source, target, new CopyOptions()).RunAsync(None);
        await target.FlushAsync(None);
    }

    private static void AssertSame(byte[] expected, byte[] actual)
    {
        var same = expected.AsSpan().CommonPrefixLength(actual);
        Assert.True(same == expected.Length && same == actual.Length, $"{actual.Length} of {expected.Length} bytes, different from {same} on");
    }

    /// <summary>The disk as 7-Zip reads it.</summary>
    private async Task<byte[]> ExtractAsync(string sevenZip, string type, string path)
    {
        var target = _folder.File(Path.GetRandomFileName());
        await RunAsync(sevenZip, "x", "-y", $"-t{type}", $"-o{target}", path);
        return await File.ReadAllBytesAsync(Assert.Single(Directory.GetFiles(target)), None);
    }

    private static string? SevenZip() => Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        var result = await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        Assert.True(result.ExitCode == 0, result.ToString());
    }
}
