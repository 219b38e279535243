using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class ImageCommandTests
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 30_000)]
    [InlineData("raw", DiskFormat.Raw, "raw")]
    [InlineData("vhdx", DiskFormat.VhdxDynamic, "vhdx")]
    [InlineData("vhdx-fixed", DiskFormat.VhdxFixed, "vhdx")]
    public async Task An_image_is_made_and_described_in_one_line(string option, DiskFormat format, string judge)
    {
        using var folder = new TempFolder();
        var path = folder.File("a");
        foreach (string[] words in (string[][])[["create", path, "--size", "8388608", "--format", option], ["info", path]])
        {
            var result = (await ImageAsync(words)).Succeeded();
            var report = JsonSerializer.Deserialize(result.Output.TrimEnd('\n'), ApiJson.Default.ImageReport)!;
            Assert.Equal((format, 8388608), (report.Format, report.Size));
        }

        var info = await Tools.RunAsync(["qemu-img", "info", "-f", judge, "--output=json", path], _ct);
        Assert.Contains("\"virtual-size\": 8388608", info, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_failure_is_a_problem_with_exit_code_1_and_leaves_no_file()
    {
        using var folder = new TempFolder();
        await RefusedAsync(ErrorCode.NotFound, "info", folder.File("nothing"));
        await RefusedAsync(ErrorCode.NotFound, "create", folder.File("no/such/folder"), "--size", "4096", "--format", "raw");
        await RefusedAsync(ErrorCode.InvalidRequest, "create", folder.File("odd"), "--size", "1000", "--format", "vhdx");
        Assert.Empty(Directory.GetFiles(folder.Path));
        File.WriteAllText(folder.File("there"), "x");
        await RefusedAsync(ErrorCode.AlreadyExists, "create", folder.File("there"), "--size", "4096", "--format", "raw");
        Assert.Equal("x", File.ReadAllText(folder.File("there")));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx", "avhdx", DiskFormat.VhdxDynamic, DiskFormat.VhdxDifferencing)]
    [InlineData("vhd", "avhd", DiskFormat.VhdDynamic, DiskFormat.VhdDifferencing)]
    public async Task Children_are_made_over_a_parent_and_merged_again(string option, string ending, DiskFormat format, DiskFormat child)
    {
        using var folder = new TempFolder();
        var paths = new[] { folder.File($"base.{option}"), folder.File($"a.{ending}"), folder.File($"b.{ending}") };
        (await ImageAsync("create", paths[0], "--size", "8388608", "--format", option)).Succeeded();
        for (var index = 1; index < paths.Length; index++)
        {
            var report = Report(await ImageAsync("create", paths[index], "--parent", paths[index - 1], "--folders", Allowed(folder.Path)));
            Assert.Equal((child, 8388608), (report.Format, report.Size));
            var chain = await DiskChain.OpenAsync(paths[index], new ChainOptions(), _ct);
            await using var device = chain.Device;
            await device.WriteAsync(index << 20, Enumerable.Repeat((byte)index, 1 << 20).ToArray(), WriteFlags.None, _ct);
        }

        // The middle one, then the leaf; the base reads like the leaf did.
        var merged = Report(await ImageAsync("merge", paths[2], "--layer", paths[1], "--folders", Allowed(folder.Path)));
        Assert.Equal((paths[0], format), (merged.Path, merged.Format));
        Assert.Equal([paths[2], paths[0]], Directory.GetFiles(folder.Path).OrderByDescending(path => path == paths[2]));
        await RefusedAsync(ErrorCode.NotFound, "merge", paths[2], "--layer", paths[1]);
        await RefusedAsync(ErrorCode.AccessDenied, "merge", paths[2], "--layer", paths[2], "--folders", Allowed("/nowhere"));
        Report(await ImageAsync("merge", paths[2], "--layer", paths[2]));
        Assert.Equal([paths[0]], Directory.GetFiles(folder.Path));
        await RefusedAsync(ErrorCode.NotFound, "merge", paths[2], "--layer", paths[2]);
        var whole = await DiskChain.OpenAsync(paths[0], new ChainOptions { ReadOnly = true }, _ct);
        await using (whole.Device)
        {
            var bytes = new byte[1 << 20];
            for (var at = 0; at < 8; at++)
            {
                await whole.Device.ReadAsync(at << 20, bytes, _ct);
                Assert.True(bytes.AsSpan().IndexOfAnyExcept((byte)(at is 1 or 2 ? at : 0)) < 0, $"wrong at {at} MiB");
            }
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_child_that_cannot_be_made_leaves_no_file()
    {
        using var folder = new TempFolder();
        var raw = folder.File("raw.img");
        (await ImageAsync("create", raw, "--size", "8388608", "--format", "raw")).Succeeded();
        await RefusedAsync(ErrorCode.InvalidRequest, "create", folder.File("a.avhdx"), "--parent", raw);
        await RefusedAsync(ErrorCode.NotFound, "create", folder.File("a.avhdx"), "--parent", folder.File("nothing.vhdx"));
        Assert.Equal([raw], Directory.GetFiles(folder.Path));
        (await ImageAsync("create", folder.File("a.vhdx"), "--size", "8388608", "--format", "vhdx")).Succeeded();
        await RefusedAsync(ErrorCode.AlreadyExists, "create", folder.File("a.vhdx"), "--parent", folder.File("a.vhdx"));
        await RefusedAsync(ErrorCode.InvalidRequest, "merge", folder.File("a.vhdx"), "--layer", folder.File("a.vhdx"));
        (await ImageAsync("create", folder.File("b.avhdx"), "--parent", folder.File("a.vhdx"))).Succeeded();
        (await ImageAsync("create", folder.File("c.avhdx"), "--parent", folder.File("a.vhdx"))).Succeeded();
        await RefusedAsync(ErrorCode.InvalidRequest, "merge", folder.File("b.avhdx"), "--layer", folder.File("b.avhdx"));
    }

    private static string Allowed(string folder) => $$"""{"roots":["{{folder}}"],"except":[]}""";

    private static ImageReport Report(CommandResult result) =>
        JsonSerializer.Deserialize(result.Succeeded().Output.TrimEnd('\n'), ApiJson.Default.ImageReport)!;

    private async Task RefusedAsync(ErrorCode code, params string[] words)
    {
        var result = await ImageAsync(words);
        Assert.Equal(1, result.ExitCode);
        Assert.Equal(code, JsonSerializer.Deserialize(result.Output, ApiJson.Default.Problem)!.Code);
    }

    private Task<CommandResult> ImageAsync(params string[] words) =>
        ChildProgram.RunAsync(WorkerUnderTest.Program, ["image", .. words], null, _ct);
}
