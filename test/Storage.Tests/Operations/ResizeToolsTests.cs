using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Resized images as qemu-img, qemu-io and 7-Zip read them.</summary>
[Trait("Tier", "process")]
public sealed class ResizeToolsTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.VhdFixed, "vpc", "VHD")]
    [InlineData(ImageFormat.VhdDynamic, "vpc", "VHD")]
    [InlineData(ImageFormat.VhdxFixed, "vhdx", "VHDX")]
    [InlineData(ImageFormat.VhdxDynamic, "vhdx", "VHDX")]
    public async Task Others_read_a_disk_that_became_smaller_and_larger(ImageFormat format, string qemu, string sevenZip)
    {
        var path = _folder.File("disk");
        var content = ResizeSample.Pattern(1, 24 * MiB);
        content.AsSpan(6 * MiB, 4 * MiB).Clear();
        await DiskImage.CreateAsync(path, format, content.Length, new ImageCreateOptions { BlockSize = 2 * MiB }, Token);
        await using (var disk = await DiskImage.OpenAsync(path, null, readOnly: false, Token))
        {
            await disk.WriteAsync(10 * MiB, content.AsMemory(10 * MiB), WriteFlags.None, Token);
            await disk.WriteAsync(0, content.AsMemory(0, 6 * MiB), WriteFlags.None, Token);
        }

        // The new ends are inside blocks, and one is no whole 4096 bytes.
        foreach (var size in new[] { (11 * MiB) + 512, 60 * MiB, 40 * MiB })
        {
            await ResizeAsync(path, size);
            Array.Resize(ref content, size);
        }

        await File.WriteAllBytesAsync(_folder.File("expected"), content, Token);
        await RunAsync("qemu-img", "compare", "-f", qemu, "-F", "raw", path, _folder.File("expected"));
        if (format == ImageFormat.VhdxDynamic)
            await RunAsync("qemu-img", "check", "-f", qemu, path);
        Assert.SkipWhen(SevenZip() is null, "7-Zip is not installed; qemu-img has read the disk");
        await RunAsync(SevenZip()!, "x", "-y", $"-t{sevenZip}", $"-o{_folder.File("out")}", path);
        Assert.Equal(content, await File.ReadAllBytesAsync(Assert.Single(Directory.GetFiles(_folder.File("out"))), Token));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.VhdxDynamic, "vhdx", 120_000, 1_200_000)]
    [InlineData(ImageFormat.VhdDynamic, "vpc", 256, 60_000)]
    public async Task Qemu_reads_and_writes_a_disk_whose_table_moved(ImageFormat format, string qemu, int oldMiB, int newMiB)
    {
        var path = _folder.File("disk");
        await DiskImage.CreateAsync(path, format, (long)oldMiB * MiB, new ImageCreateOptions { BlockSize = format == ImageFormat.VhdDynamic ? 2 * MiB : MiB }, Token);
        var bytes = new byte[MiB];
        bytes.AsSpan().Fill(0x5a);
        await using (var disk = await DiskImage.OpenAsync(path, null, readOnly: false, Token))
        {
            await disk.WriteAsync(0, bytes, WriteFlags.None, Token);
            await disk.WriteAsync((long)(oldMiB - 1) * MiB, bytes, WriteFlags.None, Token);
        }

        await ResizeAsync(path, (long)newMiB * MiB);
        await RunAsync(
            "qemu-io", "-f", qemu, "-c", "read -P 0x5a 0 1M", "-c", $"read -P 0x5a {oldMiB - 1}M 1M", "-c", $"read -P 0 {oldMiB}M 8M",
            "-c", $"write -P 0x77 {newMiB - 1}M 1M", path);
        await using var again = await DiskImage.OpenAsync(path, null, readOnly: true, Token);
        Assert.Equal((long)newMiB * MiB, again.Length);
        Assert.Equal(bytes, await ResizeSample.ReadAsync(again, (long)(oldMiB - 1) * MiB, MiB));
        Assert.All(await ResizeSample.ReadAsync(again, (long)(newMiB - 1) * MiB, 4096), value => Assert.Equal(0x77, value));
    }

    private static async Task ResizeAsync(string path, long size)
    {
        var resize = await DiskResize.PlanAsync(
            path, new DiskResizeRequest { Size = size, Force = true }, new ChainOptions(), static _ => { }, Token);
        await resize.RunAsync(static _ => { }, Token);
        var report = await DiskImage.CheckAsync(path, Token);
        Assert.True(report is { Errors: 0, Warnings: 0 }, string.Join("; ", report.Findings));
    }

    private static string? SevenZip() => Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var result = await ChildProgram.RunAsync(program, arguments, null, Token);
        Assert.True(result.ExitCode == 0, result.ToString());
        Assert.DoesNotContain("Pattern verification failed", result.Output, StringComparison.Ordinal);
    }
}
