using System.Security.Cryptography;
using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage.Files;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>The offline commands, on real files.</summary>
public sealed class DiskCommandTests : IDisposable
{
    private const int Mebibyte = 1 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task A_created_disk_is_described_in_text_and_json()
    {
        Assert.Equal($"created {At("a.vhdx")} (1.5 GiB, vhdx)\n", (await RunAsync(0, "create", "a.vhdx", "--size", "1.5G", "--block-size", "2M")).Error);
        var json = JsonDocument.Parse((await RunAsync(0, "info", "a.vhdx", "--json")).Out).RootElement;
        Assert.Equal(
            ["path", "format", "size", "allocatedBytes", "logicalSectorSize", "physicalSectorSize", "blockSize", "identifier", "linkage"],
            json.EnumerateObject().Select(field => field.Name));
        Assert.Equal("VhdxDynamic", json.GetProperty("format").GetString());
        Assert.Equal(3L << 29, json.GetProperty("size").GetInt64());
        Assert.Equal(2 << 20, json.GetProperty("blockSize").GetInt32());
        Assert.Matches(
            $"""
            ^Path:        {At("a.vhdx")}
            Format:      vhdx
            Size:        1.5 GiB \(1610612736 bytes\)
            On disk:     \S+ KiB \(\d+ bytes\)
            Sector:      512 B logical, 4 KiB physical
            Block:       2 MiB
            Identifier:  [0-9a-f-]+
            Linkage:     [0-9a-f-]+
            $
            """,
            (await RunAsync(0, "info", "a.vhdx")).Out);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("raw", "Raw")]
    [InlineData("vhdx-fixed", "VhdxFixed")]
    public async Task Create_writes_the_description_as_json(string format, string name)
    {
        var json = JsonDocument.Parse((await RunAsync(0, "create", "a.img", "--size", "4M", "--format", format, "--json")).Out).RootElement;
        Assert.Equal(name, json.GetProperty("format").GetString());
        Assert.Equal(4 << 20, json.GetProperty("size").GetInt64());
        Assert.Equal(name != "Raw", json.TryGetProperty("blockSize", out _));
    }

    [Fact(Timeout = 60_000)]
    public async Task Create_never_overwrites()
    {
        await File.WriteAllTextAsync(At("a.vhdx"), "mine", Token);
        var result = await RunAsync(ExitCode.Failed, "create", "a.vhdx", "--size", "1G");
        Assert.StartsWith($"error: {At("a.vhdx")}: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("\nremedy: choose another name", result.Error, StringComparison.Ordinal);
        Assert.Equal("mine", await File.ReadAllTextAsync(At("a.vhdx"), Token));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("no/such/a.vhdx", "1G", ExitCode.NotFound)]
    [InlineData("a.vhdx", "777", ExitCode.Failed)]
    [InlineData("a.vhdx", "65T", ExitCode.Failed)]
    public async Task A_disk_that_cannot_be_created_leaves_nothing(string path, string size, int code)
    {
        var result = await RunAsync(code, "create", path, "--size", size);
        Assert.StartsWith("error: ", result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("info", ExitCode.NotFound)]
    [InlineData("check", ExitCode.NotFound)]
    [InlineData("map", ExitCode.NotFound)]
    public async Task A_missing_file_is_not_found(string verb, int code)
    {
        var result = await RunAsync(code, verb, "none.vhdx");
        Assert.Contains(At("none.vhdx"), result.Error, StringComparison.Ordinal);
        Assert.EndsWith("\nremedy: check the path\n", result.Error, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("info", ExitCode.Failed)]
    [InlineData("check", ExitCode.Failed)]
    [InlineData("map", ExitCode.Failed)]
    public async Task What_is_called_VHDX_and_is_none_is_no_raw_image(string verb, int code)
    {
        await File.WriteAllBytesAsync(At("a.vhdx"), RandomNumberGenerator.GetBytes(64 * 512), Token);
        var result = await RunAsync(code, verb, "a.vhdx");
        Assert.Contains("this is no VHDX: it does not begin with the signature", result.Out + result.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync(0, verb, "a.vhdx", "--format", "raw")).Code);
    }

    [Fact(Timeout = 60_000)]
    public async Task One_torn_header_is_a_warning_and_two_are_an_error()
    {
        await RunAsync(0, "create", "a.vhdx", "--size", "64M");
        Overwrite("a.vhdx", 0x10000, 4096);
        var warned = await RunAsync(0, "check", "a.vhdx");
        Assert.StartsWith("warning at offset 65536 (0x10000): ", warned.Out, StringComparison.Ordinal);
        Assert.Equal($"{At("a.vhdx")}: no errors found\ngodwit disk repair {At("a.vhdx")} --dry-run shows how that can be mended\n", warned.Error);

        Overwrite("a.vhdx", 0x20000, 4096);
        var before = await File.ReadAllBytesAsync(At("a.vhdx"), Token);
        var failed = await RunAsync(ExitCode.Failed, "check", "a.vhdx", "--json");
        var json = JsonDocument.Parse(failed.Out).RootElement;
        Assert.False(json.GetProperty("sound").GetBoolean());
        var finding = json.GetProperty("findings").EnumerateArray().Last();
        Assert.Equal("Error", finding.GetProperty("severity").GetString());
        Assert.Equal(0x10000, finding.GetProperty("offset").GetInt64());
        Assert.Contains("header", finding.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Contains("offset 65536", (await RunAsync(ExitCode.Failed, "info", "a.vhdx")).Error, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllBytesAsync(At("a.vhdx"), Token));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_in_use_or_a_folder_could_not_be_checked()
    {
        await RunAsync(0, "create", "a.vhdx", "--size", "64M");
        await using (LocalFile.Open(At("a.vhdx"), readOnly: false))
            Assert.Contains("remedy: stop the VM", (await RunAsync(ExitCode.NotChecked, "check", "a.vhdx")).Error, StringComparison.Ordinal);
        Assert.StartsWith("error: ", (await RunAsync(ExitCode.NotChecked, "check", ".")).Error, StringComparison.Ordinal);
        await RunAsync(0, "check", "a.vhdx");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_map_lists_runs()
    {
        await WriteSparseAsync("a.img", 8, (2, 1), (3, 1));
        Assert.Equal(
            """
              START   LENGTH  KIND
                  0  2097152  Hole
            2097152  2097152  Data
            4194304  4194304  Hole

            """,
            (await RunAsync(0, "map", "a.img")).Out);
        Assert.Equal(
            $$"""
            [
              {"offset":0,"length":2097152,"kind":"Hole","layer":0,"path":"{{At("a.img")}}"},
              {"offset":2097152,"length":2097152,"kind":"Data","layer":0,"path":"{{At("a.img")}}"},
              {"offset":4194304,"length":4194304,"kind":"Hole","layer":0,"path":"{{At("a.img")}}"}
            ]

            """,
            (await RunAsync(0, "map", "a.img", "--json")).Out);
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }

    private void Overwrite(string name, long offset, int length)
    {
        using var file = File.OpenWrite(At(name));
        file.Position = offset;
        file.Write(Enumerable.Repeat((byte)0xff, length).ToArray());
    }

    private async Task WriteSparseAsync(string name, int mebibytes, params (int At, int Length)[] runs)
    {
        await using var file = File.Create(At(name));
        file.SetLength((long)mebibytes * Mebibyte);
        foreach (var (at, length) in runs)
        {
            file.Position = (long)at * Mebibyte;
            await file.WriteAsync(RandomNumberGenerator.GetBytes(length * Mebibyte), Token);
        }
    }
}
