using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>hash, compare, copy, and what convert takes beside its two files.</summary>
public sealed class DiskOperationTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task The_hash_of_the_reference_page_is_what_the_program_computes()
    {
        await File.WriteAllBytesAsync(At("zero.img"), new byte[512], Token);
        await File.WriteAllBytesAsync(At("filled.img"), Enumerable.Repeat((byte)0x5a, (1 << 20) + 512).ToArray(), Token);
        var page = Promises.Repository.Read("docs/reference/content-hash.md");
        foreach (var name in (string[])["zero.img", "filled.img"])
        {
            var line = (await RunAsync(ExitCode.Ok, "hash", name)).Out;
            Assert.EndsWith($"  {At(name)}\n", line, StringComparison.Ordinal);
            Assert.Contains($"`{line[..64]}`", page, StringComparison.Ordinal);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_hash_as_json_is_the_same_for_every_format()
    {
        Write("s.img", 8 << 20, (1 << 20, 7), (5 << 20, 9));
        await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx", "--block-size", "1M");
        var a = JsonDocument.Parse((await RunAsync(ExitCode.Ok, "hash", "s.img", "--json")).Out).RootElement;
        var b = JsonDocument.Parse((await RunAsync(ExitCode.Ok, "hash", "t.vhdx", "--json")).Out).RootElement;
        Assert.Equal(["path", "algorithm", "hash", "size"], a.EnumerateObject().Select(field => field.Name));
        Assert.Equal(a.GetProperty("hash").GetString(), b.GetProperty("hash").GetString());
        Assert.Equal((8 << 20, "godwit-content-hash-1"), (b.GetProperty("size").GetInt64(), b.GetProperty("algorithm").GetString()));
    }

    [Fact(Timeout = 60_000)]
    public async Task Compare_says_same_or_where_and_how_much()
    {
        Write("s.img", 8 << 20, (1 << 20, 7));
        Write("other.img", 8 << 20, (1 << 20, 7), (5 << 20, 1));
        Write("longer.img", 9 << 20, (1 << 20, 7));
        await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx");
        Assert.Equal("same content\n", (await RunAsync(ExitCode.Ok, "compare", "s.img", "t.vhdx")).Out);
        Assert.Equal(
            "different: first at offset 5242880 (0x500000), 65536 bytes in all\n",
            (await RunAsync(ExitCode.Failed, "compare", "t.vhdx", "other.img")).Out);
        Assert.Equal(
            "same content\nsizes differ: 8388608 and 9437184 bytes, the rest of the longer one reads as zeroes\n",
            (await RunAsync(ExitCode.Ok, "compare", "t.vhdx", "longer.img")).Out);
        var json = JsonDocument.Parse((await RunAsync(ExitCode.Failed, "compare", "s.img", "other.img", "--all", "--json")).Out).RootElement;
        Assert.Equal(
            (false, 5L << 20, 65536L, true),
            (json.GetProperty("same").GetBoolean(), json.GetProperty("firstDifference").GetInt64(),
                json.GetProperty("differingBytes").GetInt64(), json.GetProperty("complete").GetBoolean()));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_cannot_be_compared_is_not_called_different()
    {
        Write("s.img", 1 << 20, (0, 7));
        Assert.Contains("no.img", (await RunAsync(ExitCode.NotFound, "compare", "s.img", "no.img")).Error, StringComparison.Ordinal);
        await using (LocalFile.Open(At("s.img"), readOnly: false))
            Assert.Contains("remedy: stop the VM", (await RunAsync(ExitCode.NotChecked, "compare", "s.img", "s.img")).Error, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(At("bad.vhdx"), new byte[4096], Token);
        await RunAsync(ExitCode.NotChecked, "compare", "s.img", "bad.vhdx");
        await RunAsync(ExitCode.Failed, "compare", "s.img", "bad.vhdx", "--format-second", "raw");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_copy_is_the_same_bytes_with_the_same_holes()
    {
        Write("s.img", 64 << 20, (1 << 20, 7), (40 << 20, 9));
        await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx", "--block-size", "1M");
        var said = (await RunAsync(ExitCode.Ok, "copy", "t.vhdx", "u.vhdx")).Error;
        var hash = (await RunAsync(ExitCode.Ok, "hash", "u.vhdx", "--format", "raw")).Out[..64];
        Assert.Contains($"verified: {hash}", said, StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllBytesAsync(At("t.vhdx"), Token), await File.ReadAllBytesAsync(At("u.vhdx"), Token));
        var (from, to) = (await DiskImage.DescribeAsync(At("t.vhdx"), Token), await DiskImage.DescribeAsync(At("u.vhdx"), Token));
        Assert.InRange(to.AllocatedBytes, 0, from.AllocatedBytes + 65536);

        // Any file at all, of any length.
        await File.WriteAllTextAsync(At("odd"), "not a disk", Token);
        var json = JsonDocument.Parse((await RunAsync(ExitCode.Ok, "copy", "odd", "odd2", "--no-verify", "--json")).Out).RootElement;
        Assert.Equal((10, false), (json.GetProperty("length").GetInt32(), json.TryGetProperty("hash", out _)));
        Assert.Equal("not a disk", await File.ReadAllTextAsync(At("odd2"), Token));
        Assert.Contains("exists already", (await RunAsync(ExitCode.Failed, "copy", "odd", "odd2")).Error, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("copy", "Copying")]
    [InlineData("copy", "Hashing target")]
    [InlineData("convert", "Hashing source")]
    [InlineData("hash", "Hashing")]
    [InlineData("compare", "Comparing")]
    public async Task An_interrupt_ends_it_and_leaves_nothing(string verb, string phase)
    {
        Write("s.img", 64 << 20, [.. Enumerable.Range(0, 1000).Select(i => ((long)i << 16, 1 + (i % 9)))]);
        string[] words = verb switch { "hash" => ["s.img"], "compare" => ["s.img", "s.img"], "copy" => ["s.img", "t.img"], _ => ["s.img", "t.img", "--verify"] };
        CliRun? run = null;
        using (run = new CliRun { Folder = _folder.Path, OnTalk = text => _ = !text.Contains(phase, StringComparison.Ordinal) || run!.Interrupt() })
        {
            var result = await run.RunAsync(["disk", verb, .. words]);
            Assert.Equal(ExitCode.Cancelled, result.Code);
            var left = verb is "copy" or "convert" ? "cancelled; nothing of the new file is left\n" : "cancelled\n";
            Assert.EndsWith(left, result.Error, StringComparison.Ordinal);
        }

        Assert.Equal([At("s.img")], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_dry_run_says_what_would_be_done_and_does_nothing()
    {
        Write("s.img", 64 << 20, (1 << 20, 7));
        var json = JsonDocument.Parse((await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx", "--dry-run", "--json")).Out).RootElement;
        Assert.Equal(
            ("raw", "vhdx", 64 << 20, 65536, true),
            (json.GetProperty("sourceFormat").GetString(), json.GetProperty("format").GetString(), json.GetProperty("size").GetInt32(),
                json.GetProperty("dataBytes").GetInt32(), json.GetProperty("fits").GetBoolean()));
        Assert.Contains("To copy:  64 KiB", (await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx", "--dry-run")).Out, StringComparison.Ordinal);
        Assert.Equal([At("s.img")], Directory.GetFiles(_folder.Path));
        await using (var file = File.Create(At("huge.img")))
            file.SetLength(8L << 40);
        var huge = await RunAsync(ExitCode.Failed, "convert", "huge.img", "t.vhdx", "--subtype", "fixed", "--dry-run");
        Assert.Contains("which is too little", huge.Out, StringComparison.Ordinal);
        Assert.Contains("exists already", (await RunAsync(ExitCode.Failed, "convert", "s.img", "huge.img", "--dry-run")).Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Subtype_and_block_size_are_what_the_target_has()
    {
        Write("s.img", 8 << 20, (1 << 20, 7));
        await RunAsync(ExitCode.Ok, "convert", "s.img", "t.vhdx", "--subtype", "fixed", "--block-size", "4M", "--sector-size", "512", "--verify");
        var made = await DiskImage.DescribeAsync(At("t.vhdx"), Token);
        Assert.Equal((ImageFormat.VhdxFixed, 4 << 20, 512), (made.Format, made.BlockSize, made.LogicalSectorSize));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("--subtype: raw cannot be fixed", "--format", "raw", "--subtype", "fixed")]
    [InlineData("--subtype: vhdx-fixed cannot be dynamic", "--format", "vhdx-fixed", "--subtype", "dynamic")]
    [InlineData("--subtype: \"thick\" is not a subtype", "--subtype", "thick")]
    [InlineData("--block-size: raw has no blocks", "--format", "raw", "--block-size", "1M")]
    [InlineData("--block-size: 3 MiB is not a power of two", "--block-size", "3M")]
    [InlineData("--sector-size: a disk has sectors of 512 or 4096", "--sector-size", "1024")]
    [InlineData("--sector-size: raw has sectors of 512", "--format", "raw", "--sector-size", "4096")]
    [InlineData("--format: \"vhdx-differencing\" is not a format here", "--format", "vhdx-differencing")]
    [InlineData("--format: \"vdi\" is not a format here", "--format", "vdi")]
    public async Task Options_that_do_not_fit_are_refused_and_nothing_is_made(string message, params string[] options)
    {
        Write("s.img", 1 << 20, (0, 7));
        Assert.Contains(message, (await RunAsync(ExitCode.Usage, ["convert", "s.img", "t", .. options])).Error, StringComparison.Ordinal);
        Assert.Equal([At("s.img")], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_is_not_whole_large_sectors_cannot_have_them()
    {
        Write("s.img", (1 << 20) + 512, (0, 7));
        var result = await RunAsync(ExitCode.Failed, "convert", "s.img", "t.vhdx", "--sector-size", "4096");
        Assert.Contains("are not whole sectors of 4096", result.Error, StringComparison.Ordinal);
    }

    private void Write(string name, long size, params (long Offset, int Fill)[] pieces)
    {
        using var file = File.Create(At(name));
        file.SetLength(size);
        foreach (var (offset, fill) in pieces)
        {
            file.Position = offset;
            file.Write(Enumerable.Repeat((byte)fill, 64 << 10).ToArray());
        }
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }
}
