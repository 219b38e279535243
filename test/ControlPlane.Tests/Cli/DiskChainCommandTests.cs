using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>Differencing disks on the command line, as an administrator with a folder of checkpoints uses them.</summary>
public sealed class DiskChainCommandTests : IDisposable
{
    private const int Size = 8 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("new.vhd", "VhdDynamic")]
    [InlineData("new.AVHD", "VhdDynamic")]
    [InlineData("new.vhdx", "VhdxDynamic")]
    [InlineData("new.img", "Raw")]
    [InlineData("new.raw", "Raw")]
    [InlineData("new", "VhdxDynamic")]
    public async Task A_new_file_is_what_its_name_says(string name, string format)
    {
        var made = JsonDocument.Parse((await RunAsync(0, "create", name, "--size", "8M", "--json")).Out).RootElement;
        Assert.Equal(format, made.GetProperty("format").GetString());
        await RunAsync(0, "convert", name, $"converted-{name}");
        var converted = await DiskImage.DescribeAsync(At($"converted-{name}"), Token);
        Assert.Equal(format, converted.Format.ToString());
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx", "Vhdx")]
    [InlineData("vhd", "Vhd")]
    public async Task A_chain_is_made_shown_mapped_and_checked(string extension, string format)
    {
        await MakeChainAsync(extension);
        var info = await RunAsync(0, "info", $"leaf.{extension}");
        Assert.Contains($"\n{At($"leaf.{extension}")}  {extension}-differencing, 8 MiB, ", info.Out, StringComparison.Ordinal);
        Assert.Contains($"\n└─ {At($"middle.{extension}")}  {extension}-differencing, 8 MiB, ", info.Out, StringComparison.Ordinal);
        Assert.Contains($"\n   └─ {At($"base.{extension}")}  {extension}, 8 MiB, ", info.Out, StringComparison.Ordinal);

        var json = JsonDocument.Parse((await RunAsync(0, "info", $"leaf.{extension}", "--json")).Out).RootElement;
        Assert.Equal($"{format}Differencing", json.GetProperty("format").GetString());
        Assert.Equal($@".\middle.{extension}", json.GetProperty("parent").GetProperty("paths")[0].GetString());
        Assert.Equal(
            [At($"leaf.{extension}"), At($"middle.{extension}"), At($"base.{extension}")],
            json.GetProperty("chain").EnumerateArray().Select(layer => layer.GetProperty("path").GetString()));

        var map = JsonDocument.Parse((await RunAsync(0, "map", $"leaf.{extension}", "--json")).Out).RootElement.EnumerateArray()
            .Where(run => run.GetProperty("kind").GetString() == "Data")
            .Select(run => (run.GetProperty("offset").GetInt64(), run.GetProperty("layer").GetInt32(), run.GetProperty("path").GetString()));
        Assert.Equal(
            [(0, 2, At($"base.{extension}")), (1 << 20, 1, At($"middle.{extension}")), (2 << 20, 0, At($"leaf.{extension}"))], map);
        var table = (await RunAsync(0, "map", $"leaf.{extension}")).Out;
        Assert.Matches($@"(?m)^ *1048576 +65536  Data  1 {At($"middle.{extension}")}$", table);

        var check = await RunAsync(0, "check", $"leaf.{extension}");
        foreach (var layer in new[] { "leaf", "middle", "base" })
            Assert.Contains($"{At($"{layer}.{extension}")}: no errors found\n", check.Error, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_missing_parent_is_not_found_and_then_found_by_map_or_set_parent(string extension)
    {
        await MakeChainAsync(extension);
        Directory.CreateDirectory(At("away"));
        File.Move(At($"base.{extension}"), At($"away/base.{extension}"));
        var info = await RunAsync(ExitCode.NotFound, "info", $"leaf.{extension}");
        Assert.Contains($"tried {At($"base.{extension}")}", info.Error, StringComparison.Ordinal);
        Assert.Contains("godwit disk set-parent", info.Error, StringComparison.Ordinal);
        Assert.StartsWith("Path: ", info.Out, StringComparison.Ordinal);
        var check = await RunAsync(ExitCode.Failed, "check", $"leaf.{extension}");
        Assert.Contains("its parent was not found", check.Out, StringComparison.Ordinal);

        var mapped = await RunAsync(0, "info", $"leaf.{extension}", "--path-map", $".={At("away")}");
        Assert.Contains($"└─ {At($"away/base.{extension}")}", mapped.Out, StringComparison.Ordinal);
        string[] command = ["set-parent", $"middle.{extension}", $"away/base.{extension}"];
        Assert.Contains("would look for its parent at", (await RunAsync(0, [.. command, "--dry-run"])).Error, StringComparison.Ordinal);
        await RunAsync(ExitCode.NotFound, "info", $"leaf.{extension}");
        await RunAsync(0, command);
        Assert.Contains($"└─ {At($"away/base.{extension}")}", (await RunAsync(0, "info", $"leaf.{extension}")).Out, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task Every_command_that_reads_a_chain_takes_the_map(string extension)
    {
        await MakeChainAsync(extension);
        var leaf = $"leaf.{extension}";
        await RunAsync(0, "convert", leaf, "flat.img", "--format", "raw");
        var hash = (await RunAsync(0, "hash", leaf)).Out;
        Directory.CreateDirectory(At("away"));
        File.Move(At($"base.{extension}"), At($"away/base.{extension}"));
        string[] map = ["--path-map", $".={At("away")}"];
        Assert.Contains("--path-map", (await RunAsync(ExitCode.NotFound, "hash", leaf)).Error, StringComparison.Ordinal);
        Assert.Equal(hash, (await RunAsync(0, ["hash", leaf, .. map])).Out);
        Assert.Contains("same content", (await RunAsync(0, ["compare", leaf, "flat.img", .. map])).Out, StringComparison.Ordinal);
        await RunAsync(0, ["convert", leaf, "again.img", "--format", "raw", .. map]);
        Assert.Equal(await File.ReadAllBytesAsync(At("flat.img"), Token), await File.ReadAllBytesAsync(At("again.img"), Token));
        Assert.Contains("nbd+unix", (await ServeAsync([leaf, .. map])).Out, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Every_command_that_reads_a_chain_takes_another_parent_only_by_word()
    {
        await MakeChainAsync("vhdx");
        await RunAsync(0, "convert", "leaf.vhdx", "flat.img", "--format", "raw");
        await using (var middle = await DiskImage.OpenAsync(At("middle.vhdx"), null, readOnly: false, Token))
            await middle.WriteAsync(7 << 20, new byte[512], WriteFlags.None, Token);
        const string Word = "--ignore-parent-mismatch";
        await RunAsync(ExitCode.Failed, "hash", "leaf.vhdx");
        await RunAsync(0, "hash", "leaf.vhdx", Word);
        await RunAsync(ExitCode.NotChecked, "compare", "leaf.vhdx", "flat.img");
        await RunAsync(0, "compare", "leaf.vhdx", "flat.img", Word);
        await RunAsync(ExitCode.Failed, "convert", "leaf.vhdx", "again.vhdx");
        await RunAsync(0, "convert", "leaf.vhdx", "again.vhdx", Word);
        await ServeAsync(["leaf.vhdx", Word]);
    }

    /// <summary>An unfinished file holds bytes of every layer: it is not gone on with when any of them has changed.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task An_unfinished_conversion_is_not_gone_on_with_when_a_parent_has_changed(string extension)
    {
        await MakeChainAsync(extension);
        var source = await DiskImage.DescribeAsync(At($"leaf.{extension}"), Token);
        var plan = new CopyPlan
        {
            Operation = "convert",
            Sources = [.. new[] { "leaf", "middle", "base" }.Select(layer => FileIdentity.Read(At($"{layer}.{extension}")))],
            Format = ImageFormat.Raw,
            Size = Size,
            LogicalSectorSize = 512,
            PhysicalSectorSize = source.PhysicalSectorSize,
            Identifier = source.Identifier,
        };
        var file = await UnfinishedFile.BeginAsync(At("out.img"), plan, restart: false);
        await DiskImage.CreateAsync(file.Path, ImageFormat.Raw, Size, null, Token);
        file.NoteCopied(4 << 20);

        // Of a VHD its time is a part of the identity, so it is changed and put back to what its child knows, to the second.
        var was = File.GetLastWriteTimeUtc(At($"base.{extension}"));
        File.SetLastWriteTimeUtc(At($"base.{extension}"), was.AddMilliseconds(was.Millisecond < 500 ? 100 : -100));
        string[] words = ["convert", $"leaf.{extension}", "out.img", "--format", "raw"];
        var refused = await RunAsync(ExitCode.Failed, words);
        Assert.Contains($"{At($"base.{extension}")} has changed since it was begun", refused.Error, StringComparison.Ordinal);
        await RunAsync(0, [.. words, "--restart"]);
        Assert.Equal(await ReadAsync($"leaf.{extension}"), await File.ReadAllBytesAsync(At("out.img"), Token));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_middle_layer_is_merged_after_a_dry_run(string extension)
    {
        await MakeChainAsync(extension);
        var before = await ReadAsync($"leaf.{extension}");
        string[] command = ["merge", $"middle.{extension}", "--leaf", $"leaf.{extension}"];
        var dry = await RunAsync(0, [.. command, "--dry-run"]);
        Assert.Contains($"would be removed: {At($"middle.{extension}")}\n", dry.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(At($"middle.{extension}")));
        var json = JsonDocument.Parse((await RunAsync(0, [.. command, "--json"])).Out).RootElement;
        Assert.Equal(At($"base.{extension}"), json.GetProperty("target").GetString());
        Assert.False(File.Exists(At($"middle.{extension}")));
        Assert.Equal(before, await ReadAsync($"leaf.{extension}"));
        await RunAsync(0, "check", $"leaf.{extension}");
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_layer_other_images_need_is_not_merged_without_a_word(string extension)
    {
        await MakeChainAsync(extension);
        await RunAsync(0, "create", $"other.{extension}", "--parent", $"middle.{extension}");
        var refused = await RunAsync(ExitCode.Failed, "merge", $"leaf.{extension}");
        Assert.Contains(At($"other.{extension}"), refused.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(At($"leaf.{extension}")));
        await RunAsync(0, "merge", $"leaf.{extension}", "--orphan-children");
        Assert.False(File.Exists(At($"leaf.{extension}")));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_rebased_layer_reads_the_same_over_its_new_parent(string extension)
    {
        await MakeChainAsync(extension);
        var before = await ReadAsync($"leaf.{extension}");
        string[] command = ["rebase", $"leaf.{extension}", $"base.{extension}"];
        var file = await File.ReadAllBytesAsync(At($"leaf.{extension}"), Token);
        var dry = await RunAsync(0, [.. command, "--dry-run"]);
        Assert.Contains("64 KiB would be written into it", dry.Error, StringComparison.Ordinal);
        Assert.Equal(file, await File.ReadAllBytesAsync(At($"leaf.{extension}"), Token));
        var json = JsonDocument.Parse((await RunAsync(0, [.. command, "--json"])).Out).RootElement;
        Assert.Equal(65_536, json.GetProperty("writtenBytes").GetInt64());
        File.Delete(At($"middle.{extension}"));
        Assert.Equal(before, await ReadAsync($"leaf.{extension}"));
    }

    /// <summary>7-Zip knows nothing of us and finds the parents by itself.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_converted_chain_is_what_7zip_extracts(string extension)
    {
        var program = Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists) ?? "";
        Assert.SkipWhen(program.Length == 0, "7-Zip is not installed");
        await MakeChainAsync(extension);
        await RunAsync(0, "convert", $"leaf.{extension}", "flat.img", "--format", "raw");
        var result = await ChildProgram.RunAsync(program, ["x", "-y", $"-t{extension}", $"-o{At("out")}", At($"leaf.{extension}")], null, Token);
        Assert.True(result.ExitCode == 0, result.ToString());
        var extracted = await File.ReadAllBytesAsync(Assert.Single(Directory.GetFiles(At("out"))), Token);
        Assert.Equal(extracted, await File.ReadAllBytesAsync(At("flat.img"), Token));
        Assert.Equal(extracted, await ReadAsync($"leaf.{extension}"));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("create x.vhdx --format vhdx --subtype differencing --size 1G", "a differencing disk needs --parent")]
    [InlineData("create x.vhdx --parent base.vhdx --sector-size 4096", "--sector-size: a differencing disk has its parent's sectors")]
    [InlineData("create x.img --format raw --subtype fixed --size 1G", "--subtype: a raw file has none")]
    [InlineData("info base.vhdx --path-map C:", "--path-map: \"C:\" does not map a drive or share to a folder")]
    public async Task A_wrong_command_line_is_told(string line, string error)
    {
        await RunAsync(0, "create", "base.vhdx", "--size", "8M");
        Assert.Contains(error, (await RunAsync(ExitCode.Usage, line.Split(' '))).Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_raw_file_is_no_parent_and_a_child_is_not_smaller()
    {
        await RunAsync(0, "create", "base.img", "--size", "8M", "--format", "raw");
        Assert.Contains("raw file", (await RunAsync(ExitCode.Failed, "create", "x.vhdx", "--parent", "base.img")).Error, StringComparison.Ordinal);
        await RunAsync(0, "create", "base.vhdx", "--size", "8M");
        Assert.Contains(
            "smaller than the parent's",
            (await RunAsync(ExitCode.Failed, "create", "x.vhdx", "--parent", "base.vhdx", "--size", "4M")).Error,
            StringComparison.Ordinal);
        Assert.False(File.Exists(At("x.vhdx")));
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    /// <summary>Three layers, each with 64 KiB of its own at its own MiB.</summary>
    private async Task MakeChainAsync(string extension)
    {
        string[] names = ["base", "middle", "leaf"];
        await RunAsync(0, "create", $"base.{extension}", "--size", "8M", "--format", extension);
        for (var layer = 0; layer < names.Length; layer++)
        {
            var path = $"{names[layer]}.{extension}";
            if (layer > 0)
                await RunAsync(0, "create", path, "--parent", $"{names[layer - 1]}.{extension}");
            var bytes = new byte[65_536];
            new Random(layer + 1).NextBytes(bytes);
            await using var device = await DiskImage.OpenAsync(At(path), null, readOnly: false, Token);
            Assert.Equal(Size, device.Length);
            await device.WriteAsync((long)layer << 20, bytes, WriteFlags.None, Token);
        }
    }

    /// <summary>Serves a disk until clients can connect.</summary>
    private async Task<CliResult> ServeAsync(string[] arguments)
    {
        CliRun? serving = null;
        using var run = serving = new CliRun
        {
            Folder = _folder.Path,
            OnTalk = text => _ = text.Contains("until ^C", StringComparison.Ordinal) && serving!.Interrupt(),
        };
        var result = await run.RunAsync(["disk", "serve", .. arguments, "--socket", "s.sock"]);
        Assert.True(result.Code == 0, $"exit code {result.Code}: {result.Out}{result.Error}");
        return result;
    }

    private async Task<byte[]> ReadAsync(string name)
    {
        await using var device = await DiskImage.OpenAsync(At(name), null, readOnly: true, Token);
        var content = new byte[device.Length];
        await device.ReadAsync(0, content, Token);
        return content;
    }

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }
}
