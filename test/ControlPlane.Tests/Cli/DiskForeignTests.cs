using Godwit.Cli;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>qcow2 and VMDK come in and go out through QEMU's own tools; what could fetch other files is not opened unasked.</summary>
public sealed class DiskForeignTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public DiskForeignTests()
    {
        if (!File.Exists("/usr/bin/qemu-img") || !File.Exists("/usr/bin/qemu-nbd"))
            Assert.Skip("needs qemu-img and qemu-nbd");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData("qcow2")]
    [InlineData("vmdk")]
    public async Task What_goes_out_comes_back_the_same(string format)
    {
        WriteSource();
        var said = await RunAsync(ExitCode.Ok, "s.img", $"t.{format}", "--format", format, "--verify");
        Assert.Contains("verified: ", said, StringComparison.Ordinal);
        (await QemuAsync("check", "-f", format, At($"t.{format}"))).Succeeded();
        (await QemuAsync("compare", "-f", "raw", "-F", format, At("s.img"), At($"t.{format}"))).Succeeded();
        await RunAsync(ExitCode.Ok, $"t.{format}", "back.vhdx", "--verify");
        await RunAsync(ExitCode.Ok, $"t.{format}", "back.img", "--format", "raw", "--source-format", format);
        Assert.Equal(await File.ReadAllBytesAsync(At("s.img"), Token), await File.ReadAllBytesAsync(At("back.img"), Token));
        Assert.Equal(4, Directory.GetFileSystemEntries(_folder.Path).Length);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_that_names_others_is_only_read_by_word()
    {
        WriteSource();
        (await QemuAsync("create", "-q", "-f", "qcow2", "-b", At("s.img"), "-F", "raw", At("child.qcow2"))).Succeeded();
        var refused = await RunAsync(ExitCode.Failed, "child.qcow2", "t.vhdx");
        Assert.Contains("if you trust where it comes from, give --source-format qcow2", refused, StringComparison.Ordinal);
        await RunAsync(ExitCode.Ok, "child.qcow2", "t.img", "--source-format", "qcow2", "--format", "raw");
        Assert.Equal(await File.ReadAllBytesAsync(At("s.img"), Token), await File.ReadAllBytesAsync(At("t.img"), Token));
        (await QemuAsync("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", At("s.img"), At("flat.vmdk"))).Succeeded();
        Assert.Contains("give --source-format vmdk", await RunAsync(ExitCode.Failed, "flat.vmdk", "u.vhdx"), StringComparison.Ordinal);
        Assert.False(File.Exists(At("t.vhdx")) || File.Exists(At("u.vhdx")));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_the_tool_says_is_told_and_nothing_is_left()
    {
        WriteSource();
        Assert.Contains("qemu-nbd failed: ", await RunAsync(ExitCode.Failed, "s.img", "t.vhdx", "--source-format", "qcow2"), StringComparison.Ordinal);
        Directory.CreateDirectory(At("small"));
        if ((await ChildProgram.RunAsync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", At("small")], null, Token)).ExitCode != 0)
            Assert.Skip("mounting a small file system is not allowed here");
        try
        {
            Assert.Contains("qemu-img failed: ", await RunAsync(ExitCode.Failed, "s.img", "small/t.qcow2", "--format", "qcow2"), StringComparison.Ordinal);
            Assert.Empty(Directory.GetFileSystemEntries(At("small")));
        }
        finally
        {
            (await ChildProgram.RunAsync("umount", [At("small")], null, CancellationToken.None)).Succeeded();
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task An_interrupt_ends_the_tool_and_leaves_nothing()
    {
        WriteSource();
        CliRun? run = null;
        using (run = new CliRun { Folder = _folder.Path, OnTalk = text => _ = !text.Contains("Converting", StringComparison.Ordinal) || run!.Interrupt() })
            Assert.Equal(ExitCode.Cancelled, (await run.RunAsync("disk", "convert", "s.img", "t.qcow2", "--format", "qcow2")).Code);
        Assert.Equal([At("s.img")], Directory.GetFileSystemEntries(_folder.Path));
    }

    private static Task<CommandResult> QemuAsync(params string[] arguments) => ChildProgram.RunAsync("qemu-img", arguments, null, Token);

    private void WriteSource()
    {
        using var file = File.Create(At("s.img"));
        file.SetLength(48 << 20);
        var bytes = new byte[100_000];
        new Random(11).NextBytes(bytes);
        for (var offset = 512; offset < 40 << 20; offset += 5_000_000)
        {
            file.Position = offset;
            file.Write(bytes);
        }
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<string> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", "convert", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result.Error;
    }
}
