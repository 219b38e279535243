using System.Diagnostics;
using Godwit.Cli;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>A conversion or copy whose process was killed is gone on with by the same command.</summary>
public sealed class DiskResumeTests : IDisposable
{
    private const int Size = 24 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("convert", "raw")]
    [InlineData("convert", "vhdx")]
    [InlineData("copy", "")]
    public async Task What_a_killed_run_recorded_is_not_copied_again(string verb, string format)
    {
        WriteSource(seed: 1);
        string[] words = ["disk", verb, "s.img", "t.img", .. (string[])(format.Length > 0 ? ["--format", format] : [])];
        await LeaveUnfinishedAsync(words, 16 << 20);
        var result = await RunAsync(ExitCode.Ok, [.. words, .. (string[])(verb == "copy" ? ["--no-verify"] : [])]);
        Assert.Contains($"going on with {At("t.img.partial")} at 16 MiB", result.Error, StringComparison.Ordinal);
        Assert.Equal([At("s.img"), At("t.img")], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
        var made = await ReadAsync("t.img");

        // The first 16 MiB are the ones that the killed run had left, not the source's.
        Assert.All(made[..(16 << 20)].Chunk(1 << 20), chunk => Assert.False(chunk.AsSpan().ContainsAnyExcept((byte)0xEE)));
        Assert.Equal((await File.ReadAllBytesAsync(At("s.img"), Token))[(16 << 20)..], made[(16 << 20)..]);
    }

    [Fact(Timeout = 60_000)]
    public async Task Verifying_finds_what_an_unfinished_file_had_wrong_and_removes_it()
    {
        WriteSource(seed: 2);
        string[] words = ["disk", "copy", "s.img", "t.img"];
        await LeaveUnfinishedAsync(words, 16 << 20);
        Assert.Contains("does not read back", (await RunAsync(ExitCode.Failed, words)).Error, StringComparison.Ordinal);
        Assert.Equal([At("s.img")], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_source_that_has_changed_is_refused_until_restart()
    {
        WriteSource(seed: 3);
        string[] words = ["disk", "convert", "s.img", "t.img", "--format", "raw"];
        await LeaveUnfinishedAsync(words, 16 << 20);
        WriteSource(seed: 4);
        var refused = await RunAsync(ExitCode.Failed, words);
        Assert.Contains($"{At("s.img")} has changed since it was begun", refused.Error, StringComparison.Ordinal);
        Assert.Contains("remedy: give --restart", refused.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(At("t.img.partial")));
        await RunAsync(ExitCode.Ok, [.. words, "--restart", "--verify"]);
        Assert.Equal(await File.ReadAllBytesAsync(At("s.img"), Token), await File.ReadAllBytesAsync(At("t.img"), Token));
    }

    [Fact(Timeout = 120_000)]
    public async Task Killed_at_any_moment_the_same_command_makes_it_whole()
    {
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        WriteSource(seed: 5);
        for (var kill = 0; kill < 6; kill++)
        {
            using (var process = Start("disk", "convert", "s.img", "t.vhdx", "-q"))
            {
                await Task.Delay(random.Next(60, 500), Token);
                process.Kill();
                await process.WaitForExitAsync(Token);
            }

            if (File.Exists(At("t.vhdx")))
                File.Delete(At("t.vhdx"));
        }

        using (var last = Start("disk", "convert", "s.img", "t.vhdx", "-q", "--verify"))
        {
            await last.WaitForExitAsync(Token);
            Assert.Equal(ExitCode.Ok, last.ExitCode);
        }

        Assert.Equal(await File.ReadAllBytesAsync(At("s.img"), Token), await ReadAsync("t.vhdx"));
        Assert.False(File.Exists(At("t.vhdx.partial")));
    }

    private Process Start(params string[] words)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "godwit.dll"), .. words])
        {
            WorkingDirectory = _folder.Path,
        };
        return Process.Start(start)!;
    }

    /// <summary>Leaves what a process killed at an offset leaves, with other bytes than the source's before it.</summary>
    private async Task LeaveUnfinishedAsync(string[] words, long offset)
    {
        var format = words[1] == "copy" ? (ImageFormat?)null : words[^1] == "raw" ? ImageFormat.Raw : ImageFormat.VhdxDynamic;
        var plan = new CopyPlan
        {
            Operation = words[1],
            Sources = [FileIdentity.Read(At("s.img"))],
            Format = format,
            Size = Size,
            LogicalSectorSize = format is null ? 0 : 512,
            PhysicalSectorSize = format is null ? 0 : 4096,
        };
        var file = await UnfinishedFile.BeginAsync(At("t.img"), plan, restart: false);
        await DiskImage.CreateAsync(file.Path, format ?? ImageFormat.Raw, Size, null, Token);
        await using (var disk = await DiskImage.OpenAsync(file.Path, format ?? ImageFormat.Raw, readOnly: false, Token))
            await disk.WriteAsync(0, Enumerable.Repeat((byte)0xEE, (int)offset).ToArray(), WriteFlags.None, Token);
        file.NoteCopied(offset);
    }

    private async Task<byte[]> ReadAsync(string name)
    {
        await using var disk = await DiskImage.OpenAsync(At(name), null, readOnly: true, Token);
        var bytes = new byte[disk.Length];
        await disk.ReadAsync(0, bytes, Token);
        return bytes;
    }

    private void WriteSource(int seed)
    {
        var bytes = new byte[Size];
        new Random(seed).NextBytes(bytes.AsSpan(0, Size - (3 << 20)));
        File.WriteAllBytes(At("s.img"), bytes);
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(arguments);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }
}
