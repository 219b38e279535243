using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class DiskCompactCommandTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task A_dry_run_says_what_a_run_then_does()
    {
        await MakeAsync("disk.vhdx");
        var before = await File.ReadAllBytesAsync(At("disk.vhdx"), Token);
        var dry = Json((await RunAsync(ExitCode.Ok, "compact", "disk.vhdx", "--dry-run", "--json")).Out);
        Assert.Equal(before, await File.ReadAllBytesAsync(At("disk.vhdx"), Token));
        var done = Json((await RunAsync(ExitCode.Ok, "compact", "disk.vhdx", "--json")).Out);
        foreach (var result in new[] { dry, done })
        {
            Assert.Equal((long)before.Length, result.GetProperty("lengthBefore").GetInt64());
            Assert.Equal(before.Length - (3 * MiB), result.GetProperty("lengthAfter").GetInt64());
            Assert.Equal(3 * MiB, result.GetProperty("zeroBytes").GetInt64());
            var partition = result.GetProperty("partitions")[0];
            Assert.Equal((1, false), (partition.GetProperty("number").GetInt32(), partition.GetProperty("used").GetBoolean()));
            Assert.Contains("no known file system", partition.GetProperty("reason").GetString(), StringComparison.Ordinal);
        }

        Assert.Equal((0L, 3L), (dry.GetProperty("blocksMoved").GetInt64(), done.GetProperty("blocksMoved").GetInt64()));
        Assert.Equal(before.Length - (3 * MiB), new FileInfo(At("disk.vhdx")).Length);
        await RunAsync(ExitCode.Ok, "check", "disk.vhdx");
        await using var disk = await DiskImage.OpenAsync(At("disk.vhdx"), null, readOnly: true, Token);
        var sector = new byte[512];
        await disk.ReadAsync(7 * MiB, sector, Token);
        Assert.All(sector, value => Assert.Equal(8, value));
    }

    [Fact(Timeout = 60_000)]
    public async Task It_is_told_in_words_why_and_what_was_left_alone()
    {
        await MakeAsync("base.vhdx");
        await RunAsync(ExitCode.Ok, "create", "child.vhdx", "--parent", "base.vhdx");
        var said = (await RunAsync(ExitCode.Ok, "compact", "base.vhdx")).Error;
        Assert.Contains($"{At("base.vhdx")} was ", said, StringComparison.Ordinal);
        Assert.Contains("3 MiB read as zeroes", said, StringComparison.Ordinal);
        Assert.Contains($"note: {At("child.vhdx")} has it as its parent", said, StringComparison.Ordinal);
        await RunAsync(ExitCode.Ok, "check", "child.vhdx");
        Assert.Contains("left alone", (await RunAsync(ExitCode.Ok, "compact", "child.vhdx")).Error, StringComparison.Ordinal);
        Assert.DoesNotContain("partition", (await RunAsync(ExitCode.Ok, "compact", "base.vhdx", "--zeroes-only")).Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task What_is_no_image_or_in_use_is_refused()
    {
        await RunAsync(ExitCode.NotFound, "compact", "no.vhdx");
        await File.WriteAllBytesAsync(At("bad.vhdx"), new byte[4096], Token);
        await RunAsync(ExitCode.Failed, "compact", "bad.vhdx");
        await MakeAsync("used.vhdx");
        await using var user = await DiskImage.OpenAsync(At("used.vhdx"), null, readOnly: false, Token);
        Assert.Contains("remedy:", (await RunAsync(ExitCode.Failed, "compact", "used.vhdx")).Error, StringComparison.Ordinal);
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private string At(string name) => _folder.File(name);

    /// <summary>Eight blocks of 1 MiB, of which three hold nothing but zeroes, and an MBR with a partition of an unknown kind.</summary>
    private async Task MakeAsync(string name)
    {
        await DiskImage.CreateAsync(At(name), ImageFormat.VhdxDynamic, 8 * MiB, new ImageCreateOptions { BlockSize = MiB }, Token);
        await using var disk = await DiskImage.OpenAsync(At(name), null, readOnly: false, Token);
        for (var block = 0; block < 8; block++)
        {
            var bytes = new byte[MiB];
            bytes.AsSpan().Fill(block is 1 or 2 or 4 ? (byte)0 : (byte)(block + 1));
            if (block == 0)
            {
                bytes.AsSpan().Clear();
                bytes[450] = 0x83;
                bytes[455] = 8;
                bytes[459] = 8;
                bytes[510] = 0x55;
                bytes[511] = 0xaa;
            }

            await disk.WriteAsync(block * MiB, bytes, WriteFlags.None, Token);
        }
    }

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", .. arguments]);
        Assert.True(result.Code == code, $"{result}");
        return result;
    }
}
