using System.Net.Sockets;
using System.Text.Json;
using Godwit.Cli;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>Serving a disk: clients of any kind read and write it, and ^C leaves it flushed and nothing behind.</summary>
public sealed class DiskServeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Socket => At("d.sock");

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("writeback")]
    [InlineData("none")]
    [InlineData("writethrough")]
    public async Task What_a_client_wrote_is_in_the_file_after_an_interrupt(string cache)
    {
        await DiskImage.CreateAsync(At("d.vhdx"), ImageFormat.VhdxDynamic, 64 << 20, null, Token);
        using var run = new CliRun { Folder = _folder.Path };
        var serving = run.RunAsync("disk", "serve", "d.vhdx", "--socket", "d.sock", "--name", "a b", "--cache", cache, "--json");
        await WaitForAsync(Socket, serving);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Socket));
        await using (var client = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(Socket), "a b", Token))
        {
            Assert.Equal(64 << 20, client.Length);
            await client.WriteAsync(1 << 20, Enumerable.Repeat((byte)7, 4096).ToArray(), WriteFlags.None, Token);
        }

        run.Interrupt();
        var result = await serving;
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Equal($"nbd+unix:///a%20b?socket={Socket}", JsonDocument.Parse(result.Out).RootElement.GetProperty("uri").GetString());
        Assert.Equal([At("d.vhdx")], Directory.GetFileSystemEntries(_folder.Path));
        await using var disk = await DiskImage.OpenAsync(At("d.vhdx"), null, readOnly: true, Token);
        var bytes = new byte[4096];
        await disk.ReadAsync(1 << 20, bytes, Token);
        Assert.All(bytes, value => Assert.Equal(7, value));
    }

    [Fact(Timeout = 60_000)]
    public async Task Only_a_resizable_disk_grows_when_a_client_says_so()
    {
        await DiskImage.CreateAsync(At("d.vhdx"), ImageFormat.VhdxDynamic, 64 << 20, null, Token);
        foreach (var resizable in new[] { false, true })
        {
            using var run = new CliRun { Folder = _folder.Path };
            var serving = run.RunAsync(["disk", "serve", "d.vhdx", "--socket", "d.sock", .. resizable ? ["--resizable"] : Array.Empty<string>()]);
            await WaitForAsync(Socket, serving);
            await using (var client = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(Socket), "", Token))
            {
                Assert.Equal(resizable, client.Capabilities.CanResize);
                if (resizable)
                    await client.ResizeAsync(96 << 20, Token);
            }

            run.Interrupt();
            Assert.Equal(ExitCode.Ok, (await serving).Code);
        }

        await using (var disk = await DiskImage.OpenAsync(At("d.vhdx"), null, readOnly: true, Token))
            Assert.Equal(96 << 20, disk.Length);
        using var nonsense = new CliRun { Folder = _folder.Path };
        Assert.Equal(ExitCode.Usage, (await nonsense.RunAsync("disk", "serve", "d.vhdx", "--socket", "d.sock", "--read-only", "--resizable")).Code);
    }

    [Fact(Timeout = 60_000)]
    public async Task Read_only_refuses_writes_and_lets_others_read()
    {
        await DiskImage.CreateAsync(At("d.img"), ImageFormat.Raw, 1 << 20, null, Token);
        using var run = new CliRun { Folder = _folder.Path };
        var serving = run.RunAsync("disk", "serve", "d.img", "--socket", "d.sock", "--read-only");
        await WaitForAsync(Socket, serving);
        await using (var client = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(Socket), "", Token))
            Assert.True(client.Capabilities.ReadOnly);
        await (await DiskImage.OpenAsync(At("d.img"), null, readOnly: true, Token)).DisposeAsync();
        run.Interrupt();
        Assert.Equal($"nbd+unix:///?socket={Socket}\n", (await serving).Out);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_socket_where_others_could_put_theirs_or_where_something_is_is_refused()
    {
        await DiskImage.CreateAsync(At("d.img"), ImageFormat.Raw, 1 << 20, null, Token);
        Directory.CreateDirectory(At("open"));
        File.SetUnixFileMode(At("open"), (UnixFileMode)0b111_111_111);
        Assert.Contains("everybody may write", await RefusedAsync("open/d.sock", ExitCode.Failed), StringComparison.Ordinal);
        await File.WriteAllTextAsync(Socket, "mine", Token);
        Assert.Contains("File exists", await RefusedAsync("d.sock", ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal("mine", await File.ReadAllTextAsync(Socket, Token));
        Assert.Contains("no such folder", await RefusedAsync("none/d.sock", ExitCode.NotFound), StringComparison.Ordinal);
        Assert.Contains("a unix socket allows 107", await RefusedAsync(new string('s', 108), ExitCode.Failed), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(At("open")));
        Assert.Equal(3, Directory.GetFileSystemEntries(_folder.Path).Length);
    }

    [Fact(Timeout = 120_000)]
    public async Task The_kernel_mounts_what_is_served()
    {
        if (!File.Exists("/dev/fuse") || !File.Exists("/usr/bin/nbdfuse") || !File.Exists("/sbin/mkfs.ext4"))
            Assert.Skip("needs /dev/fuse, nbdfuse and mkfs.ext4");
        foreach (var name in (string[])["files", "fuse", "mnt"])
            Directory.CreateDirectory(At(name));
        await File.WriteAllTextAsync(At("files/hello"), "from inside a VHDX", Token);
        (await ChildProgram.RunAsync("/sbin/mkfs.ext4", ["-q", "-d", At("files"), At("d.img"), "32M"], null, Token)).Succeeded();
        using (var convert = new CliRun { Folder = _folder.Path })
            Assert.Equal(0, (await convert.RunAsync("disk", "convert", "d.img", "d.vhdx", "--verify")).Code);
        using var run = new CliRun { Folder = _folder.Path };
        var serving = run.RunAsync("disk", "serve", "d.vhdx", "--socket", "d.sock", "--read-only");
        await WaitForAsync(Socket, serving);
        try
        {
            await MountAsync();
        }
        finally
        {
            run.Interrupt();
            await serving;
        }
    }

    private async Task MountAsync()
    {
        using var fuse = ChildProgram.Start("nbdfuse", ["-r", At("fuse/data"), "--unix", Socket], null, redirect: false);
        try
        {
            for (var tries = 0; tries < 500 && !fuse.HasExited && !File.Exists(At("fuse/data")); tries++)
                await Task.Delay(10, Token);
            if (fuse.HasExited)
                Assert.Skip("FUSE file systems may not be mounted here");
            var mounted = await ChildProgram.RunAsync("mount", ["-o", "ro,loop", At("fuse/data"), At("mnt")], null, Token);
            if (mounted.ExitCode != 0)
                Assert.Skip($"loop devices may not be mounted here: {mounted.Error}");
            var text = await File.ReadAllTextAsync(At("mnt/hello"), Token);
            (await ChildProgram.RunAsync("umount", [At("mnt")], null, Token)).Succeeded();
            Assert.Equal("from inside a VHDX", text);
        }
        finally
        {
            await ChildProgram.RunAsync("fusermount3", ["-u", At("fuse")], null, CancellationToken.None);
            fuse.WaitForExit(TimeSpan.FromSeconds(10));
            if (!fuse.HasExited)
                fuse.Kill();
        }
    }

    private static async Task WaitForAsync(string socket, Task<CliResult> serving)
    {
        while (!Path.Exists(socket))
        {
            if (serving.IsCompleted)
                Assert.Fail((await serving).Error);
            await Task.Delay(5, Token);
        }
    }

    private async Task<string> RefusedAsync(string socket, int code)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync("disk", "serve", "d.img", "--socket", socket);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Error}");
        return result.Error;
    }

    private string At(string name) => Path.Combine(_folder.Path, name);
}
