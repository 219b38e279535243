using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Worker;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Serving;
using Godwit.Worker.Supervision;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>The worker's small parts, without a process.</summary>
public sealed class PartsTests
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact]
    public void A_dead_worker_is_started_at_once_unless_it_keeps_dying_young()
    {
        var delay = new RestartDelay();
        var quick = TimeSpan.FromMilliseconds(20);
        for (var i = 0; i < 5; i++)
            Assert.Equal(TimeSpan.Zero, delay.AfterDeath(quick, killed: false));
        var waits = Enumerable.Range(0, 10).Select(_ => delay.AfterDeath(quick, killed: false).TotalMilliseconds).ToList();
        Assert.Equal([25, 50, 100, 200, 400, 800, 1000, 1000, 1000, 1000], waits);
        Assert.Equal(TimeSpan.Zero, delay.AfterDeath(TimeSpan.FromSeconds(2), killed: false));
        Assert.Equal(TimeSpan.Zero, delay.AfterDeath(quick, killed: false));
    }

    [Fact]
    public void A_worker_killed_from_outside_is_started_at_once_again_and_again()
    {
        var delay = new RestartDelay();
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal(TimeSpan.Zero, delay.AfterDeath(TimeSpan.FromMilliseconds(100), killed: true)));
    }

    [Fact]
    public async Task Lines_come_out_whole_however_they_arrive()
    {
        var text = string.Join('\n', Enumerable.Range(0, 200).Select(i => new string((char)('a' + (i % 26)), i * 7))) + "\nhalf";
        foreach (var step in (int[])[1, 3, 1000, 100_000])
        {
            var lines = new LineReader(new Trickle(Encoding.ASCII.GetBytes(text), step), 4096);
            for (var i = 0; i < 200; i++)
                Assert.Equal(i * 7, (await lines.ReadAsync(_ct))!.Value.Length);
            Assert.Null(await lines.ReadAsync(_ct));
            Assert.False(lines.TooLong);
        }
    }

    [Fact]
    public async Task A_line_without_end_is_given_up()
    {
        var lines = new LineReader(new Trickle(new byte[1_000_000], 5000), 4096);
        Assert.Null(await lines.ReadAsync(_ct));
        Assert.True(lines.TooLong);
    }

    [Fact]
    public void Every_storage_error_has_a_code_of_its_own()
    {
        foreach (var kind in Enum.GetValues<StorageErrorKind>())
            Assert.NotEqual(ErrorCode.Internal, Problems.Code(kind));
    }

    [Theory]
    [InlineData("")]
    [InlineData("dance")]
    [InlineData("serve --config a")]
    [InlineData("serve --config a --run")]
    [InlineData("serve --config a --run b --restarts -1")]
    [InlineData("supervise --config a --run b --loudly")]
    [InlineData("image info")]
    [InlineData("image create p --size 1")]
    [InlineData("image create p --size 1.5 --format raw")]
    [InlineData("image create p --size 1 --format qcow2")]
    public void A_command_line_that_makes_no_sense_is_refused_with_the_usage(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var error = Assert.Throws<GodwitException>(() => WorkerOptions.Parse(words));
        Assert.Equal((ErrorCode.InvalidRequest, WorkerOptions.Usage), (error.Problem.Code, error.Problem.Remedy));
    }

    [Fact]
    public void A_command_line_is_read_in_any_order()
    {
        var create = (WorkerOptions.ImageCreate)WorkerOptions.Parse(["image", "create", "/p", "--format", "vhdx-fixed", "--size", "4096"]);
        Assert.Equal(("/p", 4096, DiskFormat.VhdxFixed), (create.Path, create.Size, create.Format));
        var serve = (WorkerOptions.Serve)WorkerOptions.Parse(["serve", "--run", "/r", "--config", "/c", "--restarts", "7"]);
        Assert.Equal(("/c", "/r", 7), (serve.Folders.Config, serve.Folders.Run, serve.Restarts));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("{\"disks\":[{}]}")]
    [InlineData("{\"disks\":[{\"disk\":{\"name\":\"../x\",\"path\":\"/a\"}}]}")]
    [InlineData("{\"disks\":[{\"disk\":{\"name\":\"a\",\"path\":\"b\"}}]}")]
    [InlineData("{\"disks\":[{\"disk\":{\"name\":\"a\",\"path\":\"/b\"}},{\"disk\":{\"name\":\"a\",\"path\":\"/c\"}}]}")]
    public void A_configuration_that_makes_no_sense_is_refused_with_its_path(string json)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("worker.json"), json);
        var error = Assert.Throws<GodwitException>(() => WorkerConfigFile.Load(folder.File("worker.json")));
        Assert.Contains(folder.File("worker.json"), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_change_of_the_configuration_is_on_disk_when_it_returns()
    {
        using var folder = new TempFolder();
        var path = folder.File("worker.json");
        var config = new WorkerConfig(Guid.NewGuid(), [new(new WorkerDisk("a", "/a")), new(new WorkerDisk("b", "/b"))]);
        File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(config, ApiJson.Default.WorkerConfig));
        WorkerConfigFile.Load(path).Update("b", entry => entry with { Disk = entry.Disk with { Path = "/moved" } });
        Assert.Equal(["/a", "/moved"], WorkerConfigFile.Load(path).Current.Disks.Select(d => d.Disk.Path));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_full_log_moves_away_and_takes_at_most_twice_its_size()
    {
        using var folder = new TempFolder();
        var log = new LogFile(folder.File("worker.log"));
        for (var i = 0; i < 5; i++)
        {
            using var handle = new Microsoft.Win32.SafeHandles.SafeFileHandle(log.Open(), ownsHandle: true);
            using var stream = new FileStream(handle, FileAccess.Write);
            stream.Write(new byte[LogFile.MaxBytes]);
        }

        Assert.Equal(2, Directory.GetFiles(folder.Path).Length);
        Assert.Equal(LogFile.MaxBytes, log.Length);
    }

    [Fact]
    public void A_lock_has_one_holder_and_names_it()
    {
        using var folder = new TempFolder();
        var path = folder.File("lock");
        using (LockFile.TryTake(path, out _))
        {
            Assert.Null(LockFile.TryTake(path, out var holder));
            Assert.Equal(ProcessMark.Current(), holder);
        }

        using var again = LockFile.TryTake(path, out _);
        Assert.NotNull(again);
    }

    [Fact]
    public void Asking_whether_a_lock_is_free_leaves_no_name_in_it()
    {
        using var folder = new TempFolder();
        var path = folder.File("lock");
        File.WriteAllText(path, "12345 678\n");
        Assert.True(LockFile.IsFree(path, out _));
        Assert.Equal("12345 678\n", File.ReadAllText(path));
        using var taken = LockFile.TryTake(path, out _);
        Assert.False(LockFile.IsFree(path, out var holder));
        Assert.Equal(ProcessMark.Current(), holder);
    }

    [Fact]
    public void A_file_keeps_its_identity_under_another_name_and_its_successor_has_another()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("a"), "1");
        var identity = FileStatus.Read(folder.File("a"))!.Value.Identity;
        File.Move(folder.File("a"), folder.File("b"));
        File.WriteAllText(folder.File("a"), "2");
        Assert.True(FileStatus.Is(folder.File("b"), identity));
        Assert.False(FileStatus.Is(folder.File("a"), identity));
        File.Delete(folder.File("b"));
        File.WriteAllText(folder.File("b"), "3");
        Assert.False(FileStatus.Is(folder.File("b"), identity), "the inode number was used again and taken for the old file");
    }

    [Fact]
    public void A_socket_path_that_is_too_long_is_refused_with_the_limit()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<GodwitException>(() => ListeningSocket.Bind(folder.File(new string('x', 100))));
        Assert.Contains("107", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Hands out at most so many bytes at a time.</summary>
    private sealed class Trickle(byte[] content, int step) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(step, buffer.Length)], cancellationToken);
    }
}
