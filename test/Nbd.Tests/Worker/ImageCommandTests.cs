using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
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

    private async Task RefusedAsync(ErrorCode code, params string[] words)
    {
        var result = await ImageAsync(words);
        Assert.Equal(1, result.ExitCode);
        Assert.Equal(code, JsonSerializer.Deserialize(result.Output, ApiJson.Default.Problem)!.Code);
    }

    private Task<CommandResult> ImageAsync(params string[] words) =>
        ChildProgram.RunAsync(WorkerUnderTest.Program, ["image", .. words], null, _ct);
}
