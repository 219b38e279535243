using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Host;
using Godwit.Host.VirtualMachines;
using Godwit.Host.Workers;
using Godwit.Qemu;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

public sealed class DaemonTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-daemon-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void Options_are_read()
    {
        var options = DaemonOptions.Parse(
            ["--state", "/s", "--run", "/r", "--listen", "127.0.0.1:7080", "--allow-root", "/a", "--allow-root", "/b", "--log", "json"]);
        Assert.Equal(("/s", "/r", "127.0.0.1:7080", true), (options.State, options.Run, options.Listen!.ToString(), options.JsonLog));
        Assert.Equal(["/a", "/b"], options.AllowedRoots);
        Assert.Equal("/var/lib/godwit", DaemonOptions.Parse([]).State);
        Assert.Equal("[::1]:80", DaemonOptions.Parse(["--listen", "[::1]:80"]).Listen!.ToString());
    }

    [Theory]
    [InlineData("--listen", "localhost"), InlineData("--listen", "host:80"), InlineData("--listen", "127.0.0.1"), InlineData("--log", "loud"), InlineData("--colour", "red"),
     InlineData("--state", ""), InlineData("--storage-moves", "0"),
     InlineData("--run", "/a/very/long/folder/name/that/leaves/no/room/for/the/sockets/that/have/to/be/made/in/it/for/every/vm")]
    public void Options_that_make_no_sense_are_refused(string name, string value)
    {
        var e = Assert.Throws<GodwitException>(() => DaemonOptions.Parse([name, value]));
        Assert.Equal(ErrorCode.InvalidRequest, e.Problem.Code);
        Assert.Throws<GodwitException>(() => DaemonOptions.Parse([name]));
    }

    [Fact]
    public void A_second_daemon_on_the_same_folder_is_refused()
    {
        var path = Path.Combine(_folder, "lock");
        using (InstanceLock.Take(path))
        {
            var e = Assert.Throws<GodwitException>(() => InstanceLock.Take(path));
            Assert.Equal(ErrorCode.Busy, e.Problem.Code);
        }
        using var again = InstanceLock.Take(path);
    }

    [Fact]
    public void A_supervisor_is_known_by_its_start_time_too()
    {
        var path = Path.Combine(_folder, "supervisor.lock");
        Assert.Null(SupervisorMark.Find(path));
        var start = File.ReadAllText("/proc/self/stat").Split(") ")[^1].Split(' ')[19];
        File.WriteAllText(path, $"{Environment.ProcessId} {start}\n");
        // A live supervisor holds its lock.
        using (InstanceLock.Take(path))
            Assert.Equal(Environment.ProcessId, SupervisorMark.Find(path));
        File.WriteAllText(path, $"{Environment.ProcessId} 1\n");
        Assert.Null(SupervisorMark.Find(path));
        File.WriteAllText(path, "");
        Assert.Null(SupervisorMark.Find(path));
    }

    [Fact]
    public void Every_format_has_a_word_and_every_QEMU_error_a_code()
    {
        DiskFormat[] children = [DiskFormat.VhdxDifferencing, DiskFormat.VhdDifferencing];
        Assert.All(Enum.GetValues<DiskFormat>().Except(children), format => Assert.NotEqual("", WorkerImages.Word(format)));
        Assert.All(children, format => Assert.Equal(
            ErrorCode.Unsupported, Assert.Throws<GodwitException>(() => WorkerImages.Word(format)).Problem.Code));
        Assert.All(Enum.GetValues<QemuErrorKind>(), kind => Assert.NotEqual(ErrorCode.Internal, QemuRuntime.Code(kind)));
    }
}
