using System.Text.Json;
using CsCheck;
using Godwit.Api.Disks;
using Godwit.Cli;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>Converting: every byte arrives, holes stay holes, and a conversion that fails leaves nothing.</summary>
public sealed class DiskConvertTests : IDisposable
{
    private const int Unit = 64 << 10;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public void Any_mixture_of_data_zeroes_and_holes_survives_every_format() =>
        Gen.Select(Gen.Int[0, 2].Array[1, 80], Gen.Int[0, 127], Gen.Int[0, 4].Select(index => new[] { "vhdx", "vhdx-fixed", "vhd", "vhd-fixed", "raw" }[index])).Sample(
            (pieces, tail, format) =>
            {
                using var folder = new TempFolder();
                var source = Path.Combine(folder.Path, "s.img");
                WritePieces(source, pieces, tail * 512);
                Convert(folder, "s.img", "t.img", "--format", format);
                Convert(folder, "t.img", "back.img", "--format", "raw", "--source-format", format);
                Assert.Equal(File.ReadAllBytes(source), File.ReadAllBytes(Path.Combine(folder.Path, "back.img")));
                Assert.Equal(3, Directory.GetFiles(folder.Path).Length);
            },
            iter: 40, threads: 1);

    [Fact(Timeout = 30_000)]
    public async Task Holes_and_written_zeroes_take_no_room()
    {
        // 64 MiB: data in the first and last MiB, written zeroes in between, then a hole.
        WritePieces(At("s.img"), [.. Enumerable.Repeat(2, 16), .. Enumerable.Repeat(1, 480), .. Enumerable.Repeat(2, 16), .. Enumerable.Repeat(0, 512)], 0);
        await RunAsync(0, "s.img", "t.img", "--format", "raw");
        await RunAsync(0, "s.img", "t.vhdx");
        Assert.InRange((await DiskImage.DescribeAsync(At("t.img"), Token)).AllocatedBytes, 2 << 20, 2 << 20);
        Assert.InRange((await DiskImage.DescribeAsync(At("t.vhdx"), Token)).AllocatedBytes, 2 << 20, 3 << 20);
    }

    [Fact(Timeout = 30_000)]
    public async Task From_VHDX_to_VHDX_it_stays_the_same_disk()
    {
        await DiskImage.CreateAsync(At("s.vhdx"), ImageFormat.VhdxDynamic, 8 << 20, new ImageCreateOptions { PhysicalSectorSize = 512 }, Token);
        await RunAsync(0, "s.vhdx", "t.vhdx", "--format", "vhdx-fixed");
        var (from, to) = (await DiskImage.DescribeAsync(At("s.vhdx"), Token), await DiskImage.DescribeAsync(At("t.vhdx"), Token));
        Assert.Equal((from.Identifier, 512, ImageFormat.VhdxFixed), (to.Identifier, to.PhysicalSectorSize, to.Format));
    }

    [Fact(Timeout = 30_000)]
    public async Task The_new_file_is_described_as_json()
    {
        WritePieces(At("s.img"), [2], 0);
        var json = JsonDocument.Parse((await RunAsync(0, "s.img", "t.vhdx", "--json")).Out).RootElement;
        Assert.Equal(At("t.vhdx"), json.GetProperty("path").GetString());
        Assert.Equal(nameof(DiskFormat.VhdxDynamic), json.GetProperty("format").GetString());
    }

    [Fact(Timeout = 30_000)]
    public async Task An_existing_target_is_refused_and_untouched()
    {
        WritePieces(At("s.img"), [2], 0);
        await File.WriteAllTextAsync(At("t.vhdx"), "mine", Token);
        Assert.Contains("exists already", (await RunAsync(ExitCode.Failed, "s.img", "t.vhdx")).Error, StringComparison.Ordinal);
        Assert.Equal("mine", await File.ReadAllTextAsync(At("t.vhdx"), Token));
        await File.WriteAllTextAsync(At("u.vhdx.partial"), "another's", Token);
        Assert.Contains("nothing beside it tells how it was begun", (await RunAsync(ExitCode.Failed, "s.img", "u.vhdx")).Error, StringComparison.Ordinal);
        Assert.Equal("another's", await File.ReadAllTextAsync(At("u.vhdx.partial"), Token));
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_that_appears_meanwhile_is_not_overwritten()
    {
        WritePieces(At("s.img"), [2], 0);
        using var run = new CliRun { Folder = _folder.Path, OnTalk = _ => File.WriteAllText(At("t.vhdx"), "mine") };
        Assert.Equal(ExitCode.Failed, (await run.RunAsync("disk", "convert", "s.img", "t.vhdx")).Code);
        Assert.Equal("mine", await File.ReadAllTextAsync(At("t.vhdx"), Token));
        Assert.False(File.Exists(At("t.vhdx.partial")));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_interrupt_removes_the_target_and_exits_2(bool terminal)
    {
        WritePieces(At("s.img"), [.. Enumerable.Repeat(2, 128)], 0);
        CliRun? run = null;
        using (run = new CliRun { Folder = _folder.Path, Terminal = terminal, OnTalk = text => _ = !text.Contains("Copying", StringComparison.Ordinal) || run!.Interrupt() })
        {
            var result = await run.RunAsync("disk", "convert", "s.img", "t.vhdx");
            Assert.Equal(ExitCode.Cancelled, result.Code);
            Assert.EndsWith("cancelled; nothing of the new file is left\n", result.Error, StringComparison.Ordinal);
        }

        Assert.Equal([At("s.img")], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_damaged_source_leaves_no_target()
    {
        await DiskImage.CreateAsync(At("s.vhdx"), ImageFormat.VhdxDynamic, 8 << 20, null, Token);
        await using (var file = File.OpenWrite(At("s.vhdx")))
        {
            file.Position = 0x10000;
            await file.WriteAsync(Enumerable.Repeat((byte)0xff, 0x20000).ToArray(), Token);
        }

        Assert.Contains("offset 65536", (await RunAsync(ExitCode.Failed, "s.vhdx", "t.img")).Error, StringComparison.Ordinal);
        Assert.Equal([At("s.vhdx")], Directory.GetFiles(_folder.Path));
        Assert.Equal(ExitCode.NotFound, (await RunAsync(ExitCode.NotFound, "none.vhdx", "t.img")).Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_full_file_system_leaves_no_target_and_says_so()
    {
        Directory.CreateDirectory(At("small"));
        if (!await TryRunAsync("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", At("small")))
            Assert.Skip("mounting a small file system is not allowed here");
        try
        {
            WritePieces(At("s.img"), [.. Enumerable.Repeat(2, 64)], 0);
            var result = await RunAsync(ExitCode.Failed, "s.img", "small/t.vhdx");
            Assert.Contains("No space left on device", result.Error, StringComparison.Ordinal);
            Assert.EndsWith("remedy: make room, or choose a file system with more space\n", result.Error, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFiles(At("small")));
        }
        finally
        {
            Assert.True(await TryRunAsync("umount", At("small")));
        }
    }

    private static async Task<bool> TryRunAsync(string program, params string[] arguments) =>
        (await ChildProgram.RunAsync(program, arguments, null, Token)).ExitCode == 0;

    // 0 is a hole, 1 written zeroes, 2 bytes that differ from piece to piece.
    private static void WritePieces(string path, int[] pieces, int tail)
    {
        using var file = File.Create(path);
        var buffer = new byte[Unit];
        for (var i = 0; i < pieces.Length; i++)
        {
            file.Position = (long)i * Unit;
            buffer.AsSpan().Fill((byte)(pieces[i] == 2 ? 1 + (i % 255) : 0));
            if (pieces[i] > 0)
                file.Write(buffer);
        }

        file.SetLength(((long)pieces.Length * Unit) + tail);
    }

    private static void Convert(TempFolder folder, params string[] arguments)
    {
        using var run = new CliRun { Folder = folder.Path };
        var result = run.RunAsync(["disk", "convert", .. arguments]).GetAwaiter().GetResult();
        Assert.True(result.Code == 0, result.Error);
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", "convert", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }
}
