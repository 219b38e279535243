using System.Diagnostics;
using System.Globalization;
using Godwit.ControlPlane.Tests.Interop;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>QEMU's programs, through which qcow2 comes in and goes out, end or stand still in the middle: godwit says so, removes what it
/// made and ends.</summary>
public sealed class ForeignToolTests : IDisposable
{
    private const int Size = 96 << 20;
    private const int Attempts = 8;
    private readonly TempFolder _folder = new();

    public ForeignToolTests()
    {
        if (!File.Exists("/usr/bin/qemu-img") || !File.Exists("/usr/bin/qemu-nbd"))
            Assert.Skip("needs qemu-img and qemu-nbd");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("qemu-nbd", "s.qcow2", "t.vhdx")]
    [InlineData("qemu-img", "s.img", "t.qcow2")]
    public async Task One_that_is_killed_is_named_and_nothing_is_left(string tool, string source, string target)
    {
        await MakeAsync(source);
        var end = await StrikeAsync(tool, source, target, static (_, helper) => helper.Kill());
        Assert.Equal(1, end.Code);
        Assert.Contains($"error: {tool} failed: it was ended by signal 9\n", end.Error, StringComparison.Ordinal);
        Assert.Equal([_folder.File(source)], Directory.GetFiles(_folder.Path));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("qemu-nbd", "s.qcow2", "t.vhdx")]
    [InlineData("qemu-img", "s.img", "t.qcow2")]
    public async Task One_that_stands_still_is_ended_by_an_interrupt(string tool, string source, string target)
    {
        await MakeAsync(source);
        Process? stopped = null;
        var end = await StrikeAsync(tool, source, target, (program, helper) =>
        {
            stopped = helper;
            _ = LibC.Kill(helper.Id, LibC.Stop);
            _ = LibC.Kill(program.Id, LibC.Interrupt);
        });
        Assert.Equal((2, true), (end.Code, stopped!.HasExited));
        Assert.EndsWith("cancelled; nothing of the new file is left\n", end.Error, StringComparison.Ordinal);
        Assert.Equal([_folder.File(source)], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 120_000)]
    public async Task After_a_kill_of_godwit_the_reader_ends_and_the_same_command_goes_on()
    {
        await MakeAsync("s.qcow2");
        Process? reader = null;
        await StrikeAsync("qemu-nbd", "s.qcow2", "t.vhdx", (program, helper) =>
        {
            reader = helper;
            using var godwit = Process.GetProcessById(program.Id);
            godwit.Kill();
        });
        await reader!.WaitForExitAsync(Token);
        using var again = RunningProgram.Start(_folder.Path, ["disk", "convert", "s.qcow2", "t.vhdx", "--verify"]);
        var end = await again.EndAsync();
        Assert.True(end.Code == 0, $"{end}");
        Assert.Equal([_folder.File("s.qcow2"), _folder.File("t.vhdx")], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
    }

    /// <summary>Converts, stops godwit in the middle of the copying, strikes, and lets it go on.</summary>
    private async Task<CliResult> StrikeAsync(string tool, string source, string target, Action<RunningProgram, Process> strike)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            using var watch = new FolderWatch(_folder.Path, 8 + attempt);
            using var program = RunningProgram.Start(_folder.Path, ["disk", "convert", source, target]);
            await Task.WhenAny(program.Ended, watch.Reached);
            _ = LibC.Kill(program.Id, LibC.Stop);
            if (!program.Ended.IsCompleted && await FindAsync(tool, program.Id) is Process helper)
            {
                strike(program, helper);
                _ = LibC.Kill(program.Id, LibC.Continue);
                return await program.EndAsync();
            }

            _ = LibC.Kill(program.Id, LibC.Continue);
            await program.Ended;
            File.Delete(_folder.File(target));
        }

        throw new InvalidOperationException($"{tool} was never met at work");
    }

    private static async Task<Process?> FindAsync(string tool, int parent)
    {
        var found = await ChildProgram.RunAsync("pgrep", ["-P", parent.ToString(CultureInfo.InvariantCulture), "-x", tool], null, Token);
        return int.TryParse(found.Output, CultureInfo.InvariantCulture, out var id) ? Process.GetProcessById(id) : null;
    }

    /// <summary>A disk full of random bytes.</summary>
    private async Task MakeAsync(string name)
    {
        var raw = _folder.File("s.img");
        var bytes = new byte[1 << 20];
        await using (var file = File.Create(raw))
        {
            for (var at = 0; at < Size; at += bytes.Length)
            {
                new Random(at).NextBytes(bytes);
                await file.WriteAsync(bytes, Token);
            }
        }

        if (name == "s.img")
            return;
        (await ChildProgram.RunAsync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, _folder.File(name)], null, Token)).Succeeded();
        File.Delete(raw);
    }
}
