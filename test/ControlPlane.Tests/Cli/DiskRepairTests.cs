using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>godwit disk repair, as a person with a damaged image uses it.</summary>
public sealed class DiskRepairTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const int Bat = 3 * MiB;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx", 65536)]
    [InlineData("vhd", 0)]
    public async Task Check_tells_that_repair_helps_and_a_copy_is_repaired(string extension, int at)
    {
        var content = await MakeAsync(extension);
        await PokeAsync($"data.{extension}", at, new byte[32]);
        var damaged = await File.ReadAllBytesAsync(At($"data.{extension}"), Token);
        var check = await RunAsync(0, "check", $"data.{extension}");
        Assert.Contains("[disk repair mends it]", check.Out, StringComparison.Ordinal);
        Assert.Contains($"godwit disk repair {At($"data.{extension}")} --dry-run", check.Error, StringComparison.Ordinal);
        var json = JsonDocument.Parse((await RunAsync(0, "check", $"data.{extension}", "--json")).Out).RootElement;
        Assert.Contains(json.GetProperty("findings").EnumerateArray(), one => one.TryGetProperty("remedy", out var remedy) && remedy.GetString() == "Repair");

        var dry = await RunAsync(0, "repair", $"data.{extension}", "--dry-run");
        Assert.StartsWith("would mend at offset ", dry.Out, StringComparison.Ordinal);
        Assert.Equal([$"data.{extension}"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName));

        var done = await RunAsync(0, "repair", $"data.{extension}", "--to", $"good.{extension}");
        Assert.StartsWith("mended at offset ", done.Out, StringComparison.Ordinal);
        Assert.Contains($"repaired copy: {At($"good.{extension}")}; no errors are left", done.Error, StringComparison.Ordinal);
        Assert.Equal(damaged, await File.ReadAllBytesAsync(At($"data.{extension}"), Token));
        Assert.Equal(content, await ReadAsync($"good.{extension}"));
        Assert.DoesNotContain("disk repair", (await RunAsync(0, "check", $"good.{extension}")).Out, StringComparison.Ordinal);
        Assert.Equal([$"data.{extension}", $"good.{extension}"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact(Timeout = 60_000)]
    public async Task In_place_with_an_undo_file_and_back()
    {
        var content = await MakeAsync("vhdx");
        await PokeAsync("data.vhdx", 0, new byte[8]);
        Assert.Contains("[disk repair mends it]", (await RunAsync(ExitCode.Failed, "check", "data.vhdx")).Out, StringComparison.Ordinal);
        var damaged = await File.ReadAllBytesAsync(At("data.vhdx"), Token);
        var done = JsonDocument.Parse((await RunAsync(0, "repair", "data.vhdx", "--json")).Out).RootElement;
        Assert.Equal((true, true, At("data.vhdx.undo")), (done.GetProperty("repaired").GetBoolean(), done.GetProperty("sound").GetBoolean(), done.GetProperty("undo").GetString()));
        Assert.Equal("Mended", done.GetProperty("steps")[0].GetProperty("outcome").GetString());
        Assert.Equal(content, await ReadAsync("data.vhdx"));

        await PokeAsync("data.vhdx", 65536, new byte[32]);
        var again = await RunAsync(ExitCode.Failed, "repair", "data.vhdx");
        Assert.Contains("never overwritten", again.Error, StringComparison.Ordinal);
        Assert.Contains("--lossy", (await RunAsync(ExitCode.Failed, "repair", "data.vhdx", "--restore", "data.vhdx.undo")).Error, StringComparison.Ordinal);
        for (var round = 0; round < 2; round++)
        {
            var back = await RunAsync(0, "repair", "data.vhdx", "--restore", "data.vhdx.undo", "--lossy");
            Assert.Contains("is as it was before the repair", back.Error, StringComparison.Ordinal);
            Assert.Equal(damaged, await File.ReadAllBytesAsync(At("data.vhdx"), Token));
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task The_same_command_after_one_that_was_killed_in_its_last_moment_finds_it_done()
    {
        var content = await MakeAsync("vhdx");
        await PokeAsync("data.vhdx", 0, new byte[8]);
        await RunAsync(0, "repair", "data.vhdx");
        var undo = await File.ReadAllBytesAsync(At("data.vhdx.undo"), Token);
        Assert.Contains("nothing to repair", (await RunAsync(0, "repair", "data.vhdx")).Error, StringComparison.Ordinal);
        Assert.Equal(undo, await File.ReadAllBytesAsync(At("data.vhdx.undo"), Token));
        Assert.Equal(content, await ReadAsync("data.vhdx"));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(0)]
    [InlineData(512)]
    public async Task An_undo_file_in_which_nothing_was_written_yet_is_begun_anew(int length)
    {
        var content = await MakeAsync("vhdx");
        await PokeAsync("data.vhdx", 0, new byte[8]);
        await File.WriteAllBytesAsync(At("data.vhdx.undo"), new byte[length], Token);
        await RunAsync(0, "repair", "data.vhdx");
        Assert.Equal(content, await ReadAsync("data.vhdx"));
        await RunAsync(0, "repair", "data.vhdx", "--restore", "data.vhdx.undo");
        await PokeAsync("data.vhdx.undo", 12, [1, 2, 3, 4]);
        Assert.Contains("never overwritten", (await RunAsync(ExitCode.Failed, "repair", "data.vhdx")).Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_loss_needs_permission_and_is_listed()
    {
        var content = await MakeAsync("vhdx");
        await PokeAsync("data.vhdx", Bat, BitConverter.GetBytes((9999UL << 20) | 6));
        Assert.Contains("[disk repair --lossy mends it]", (await RunAsync(ExitCode.Failed, "check", "data.vhdx")).Out, StringComparison.Ordinal);
        var refused = await RunAsync(ExitCode.Failed, "repair", "data.vhdx", "--to", "good.vhdx");
        Assert.StartsWith("needs --lossy at offset 3145728", refused.Out, StringComparison.Ordinal);
        Assert.Contains("  disk bytes 0 to 1048575 (1 MiB)\n", refused.Out, StringComparison.Ordinal);
        Assert.Contains("errors are left", refused.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(At("good.vhdx")));
        var json = JsonDocument.Parse((await RunAsync(0, "repair", "data.vhdx", "--to", "good.vhdx", "--lossy", "--json")).Out).RootElement;
        var lost = json.GetProperty("steps")[0].GetProperty("lost")[0];
        Assert.Equal((0, MiB), (lost.GetProperty("offset").GetInt64(), lost.GetProperty("length").GetInt64()));
        Array.Clear(content, 0, MiB);
        Assert.Equal(content, await ReadAsync("good.vhdx"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_sound_image_is_left_alone_and_a_hopeless_one_says_why()
    {
        await MakeAsync("vhdx");
        var before = await File.ReadAllBytesAsync(At("data.vhdx"), Token);
        Assert.Contains("nothing to repair", (await RunAsync(0, "repair", "data.vhdx")).Error, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllBytesAsync(At("data.vhdx"), Token));
        Assert.Single(Directory.GetFiles(_folder.Path));
        await File.WriteAllBytesAsync(At("cut.vhdx"), before[..(300 << 10)], Token);
        var hopeless = await RunAsync(ExitCode.Failed, "repair", "cut.vhdx", "--lossy");
        Assert.StartsWith("cannot be mended at offset 307200", hopeless.Out, StringComparison.Ordinal);
        Assert.Contains("backup", hopeless.Out, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(At("disk.img"), new byte[MiB], Token);
        Assert.Contains("--format", (await RunAsync(ExitCode.Failed, "repair", "disk.img")).Error, StringComparison.Ordinal);
        await RunAsync(ExitCode.NotFound, "repair", "none.vhdx");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_cancelled_repair_leaves_nothing()
    {
        await MakeAsync("vhdx");
        await PokeAsync("data.vhdx", 65536, new byte[32]);
        var damaged = await File.ReadAllBytesAsync(At("data.vhdx"), Token);
        foreach (var target in new[] { "--to", "--undo" })
        {
            using var run = new CliRun { Folder = _folder.Path };
            run.Interrupt();
            Assert.Equal(ExitCode.Cancelled, (await run.RunAsync("disk", "repair", "data.vhdx", target, "made")).Code);
            Assert.Single(Directory.GetFiles(_folder.Path));
        }

        Assert.Equal(damaged, await File.ReadAllBytesAsync(At("data.vhdx"), Token));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("repair data.vhdx --to a --undo b", "--to and --undo exclude each other")]
    [InlineData("repair data.vhdx --restore a --dry-run", "--restore only puts the image back")]
    public async Task A_wrong_command_line_is_told(string line, string error) =>
        Assert.Contains(error, (await RunAsync(ExitCode.Usage, line.Split(' '))).Error, StringComparison.Ordinal);

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<byte[]> MakeAsync(string extension)
    {
        string[] blocks = extension == "vhdx" ? ["--block-size", "1M"] : [];
        await RunAsync(0, ["create", $"data.{extension}", "--size", "8M", "--format", extension, .. blocks]);
        var content = new byte[8 * MiB];
        new Random(5).NextBytes(content.AsSpan(0, 3 * MiB));
        await using (var device = await DiskImage.OpenAsync(At($"data.{extension}"), null, readOnly: false, Token))
            await device.WriteAsync(0, content.AsMemory(0, 3 * MiB), WriteFlags.None, Token);
        return content;
    }

    private async Task PokeAsync(string name, long offset, byte[] bytes)
    {
        using var file = File.OpenHandle(At(name), FileMode.Open, FileAccess.Write);
        await RandomAccess.WriteAsync(file, bytes, offset, Token);
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
