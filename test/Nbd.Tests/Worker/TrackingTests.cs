using System.Net.Sockets;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Points of a disk in a real worker: killed, stopped, moved.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class TrackingTests
{
    private const long Size = 8 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData("disk0.vhdx")]
    [InlineData("disk0.img")]
    public async Task A_point_covers_every_change_across_kills_and_a_stop(string disk)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, disk);
        var random = new Random(7);
        await WriteAsync(worker, random, 20);
        var then = await ContentAsync(worker);
        Assert.Null((await AddAsync(worker, "backup")).Problem);
        for (var round = 0; round < 4; round++)
        {
            await WriteAsync(worker, random, 10);
            Assert.True(worker.KillWorker());
            await WriteAsync(worker, random, 10);
        }

        var before = await CheckAsync(worker, "backup", then);
        Assert.InRange(before, 1, Size / 2);
        Assert.Equal(0, await worker.StopAsync(_ct));
        worker.Supervise();
        var after = await CheckAsync(worker, "backup", then);
        Assert.Equal(before, after);
        await WriteAsync(worker, random, 5);
        await CheckAsync(worker, "backup", then);
    }

    [Fact(Timeout = 120_000)]
    public async Task Killed_while_points_come_and_go_each_that_is_listed_is_good()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var random = new Random(11);
        var then = new Dictionary<string, byte[]>();
        for (var round = 0; round < 12; round++)
        {
            var name = $"p{round}";
            await WriteAsync(worker, random, 3);
            var content = await ContentAsync(worker);
            var line = round % 3 == 2
                ? $$"""{"command":"point-remove","disk":"disk0","name":"p{{round - 1}}"}"""
                : $$"""{"command":"point-add","disk":"disk0","id":"{{Guid.NewGuid()}}","name":"{{name}}"}""";
            var asking = worker.TrySendAsync(line, _ct);
            await Task.Delay(random.Next(8), _ct);
            worker.KillWorker();
            await asking;
            then[name] = content;
            await WriteAsync(worker, random, 3);
            var disk = await worker.WaitForAsync(status => status.Problem is null && status.Size > 0, _ct);
            foreach (var point in disk.Points ?? [])
                await CheckAsync(worker, point.Name, then[point.Name]);
            Assert.InRange(Directory.GetFiles(worker.Config, "*.changes").Length, 0, disk.Points?.Count ?? 0);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task An_image_changed_while_the_worker_is_stopped_loses_the_point_and_so_does_a_damaged_file()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await AddAsync(worker, "a");
        await worker.StopAsync(_ct);
        await File.WriteAllBytesAsync(worker.File("disk0.img"), new byte[Size], _ct);
        worker.Supervise();
        var point = Assert.Single((await worker.WaitForAsync(status => status.Size > 0, _ct)).Points!);
        Assert.Equal(Size, point.ChangedBytes);
        Assert.Contains("changed or replaced", point.Lost, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.changes"));

        Assert.Null((await AddAsync(worker, "b")).Problem);
        var file = Assert.Single(Directory.GetFiles(worker.Config, "*.changes"));
        await worker.StopAsync(_ct);
        var bytes = await File.ReadAllBytesAsync(file, _ct);
        bytes[520] ^= 1;
        await File.WriteAllBytesAsync(file, bytes, _ct);
        worker.Supervise();
        var points = (await worker.WaitForAsync(status => status.Size > 0, _ct)).Points!;
        Assert.Equal((2, Size), (points.Count, points[1].ChangedBytes));
        Assert.Contains("torn", points[1].Lost, StringComparison.Ordinal);
        Assert.Equal(Size, await CheckAsync(worker, "b", new byte[Size]));
        Assert.Null((await worker.AskAsync(new RemovePoint("disk0", "b"), _ct)).Problem);
        Assert.Equal(["a"], (await worker.DiskAsync(_ct)).Points!.Select(each => each.Name));
    }

    [Fact(Timeout = 120_000)]
    public async Task Points_and_limits_go_along_with_a_storage_move()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var job = Guid.NewGuid();
        var random = new Random(5);
        await WriteAsync(worker, random, 10);
        var then = await ContentAsync(worker);
        await AddAsync(worker, "a");
        await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(RequestsPerSecond: 100_000)), _ct);
        await WriteAsync(worker, random, 5);
        await worker.AskAsync(new StartMirror("disk0", job, worker.File("new.vhdx"), null), _ct);
        await WriteAsync(worker, random, 5);
        await worker.WaitForAsync(disk => disk.Mirror?.State == MirrorState.Verified, _ct);
        var switched = await worker.AskAsync(new SwitchMirror("disk0", job), _ct);
        Assert.Equal(100_000, switched.Status!.Disks[0].Limits?.RequestsPerSecond);
        await WriteAsync(worker, random, 5);
        await worker.AskAsync(new ForgetMirror("disk0", job, RetainSource: false), _ct);
        Assert.True(worker.KillWorker());
        await WriteAsync(worker, random, 5);
        Assert.InRange(await CheckAsync(worker, "a", then), 1, Size / 2);
        Assert.Equal(100_000, (await worker.DiskAsync(_ct)).Limits?.RequestsPerSecond);
        await worker.StopAsync(_ct);
        worker.Supervise();
        Assert.InRange(await CheckAsync(worker, "a", then), 1, Size / 2);
    }

    [Fact(Timeout = 60_000)]
    public async Task Nonsense_is_refused_and_what_is_repeated_changes_nothing()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        foreach (var name in new[] { "", "a b", "a/b", "ä", "a:b", new string('a', 65) })
            Assert.Equal(ErrorCode.InvalidRequest, (await AddAsync(worker, name)).Problem?.Code);
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(new AddPoint("other", Guid.NewGuid(), "a"), _ct)).Problem?.Code);
        var id = Guid.NewGuid();
        for (var i = 0; i < 2; i++)
            Assert.Single((await worker.AskAsync(new AddPoint("disk0", id, "a"), _ct)).Status!.Disks[0].Points!);
        Assert.Equal(ErrorCode.AlreadyExists, (await AddAsync(worker, "a")).Problem?.Code);
        for (var i = 1; i < 16; i++)
            Assert.Null((await AddAsync(worker, $"p{i}")).Problem);
        Assert.Equal(ErrorCode.WrongState, (await AddAsync(worker, "more")).Problem?.Code);
        for (var i = 0; i < 2; i++)
            Assert.Equal(15, (await worker.AskAsync(new RemovePoint("disk0", "a"), _ct)).Status!.Disks[0].Points!.Count);
        Assert.Equal(15, Directory.GetFiles(worker.Config, "*.changes").Length);
        Assert.True(Directory.GetFiles(worker.Config, "*.changes").All(file => File.GetUnixFileMode(file) == (UnixFileMode.UserRead | UnixFileMode.UserWrite)));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_point_that_cannot_be_recorded_is_refused_and_leaves_nothing()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");

        // worker.json is written through this name first.
        Directory.CreateDirectory(worker.ConfigFile + ".new");
        Assert.NotNull((await AddAsync(worker, "a")).Problem);
        Directory.Delete(worker.ConfigFile + ".new");
        Assert.Null((await worker.DiskAsync(_ct)).Points);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.changes"));
        Assert.Null((await AddAsync(worker, "a")).Problem);
    }

    private Task<WorkerReply> AddAsync(WorkerUnderTest worker, string name) => worker.AskAsync(new AddPoint("disk0", Guid.NewGuid(), name), _ct);

    /// <summary>Writes as a guest does: what was not answered when the worker died is sent again.</summary>
    private async Task WriteAsync(WorkerUnderTest worker, Random random, int count)
    {
        await worker.WaitForAsync(status => status.Problem is null && status.Size > 0, _ct);
        await using var disk = await worker.ConnectAsync("disk0", _ct);
        for (var i = 0; i < count; i++)
        {
            var offset = random.Next((int)(Size / 512) - 32) * 512L;
            var bytes = new byte[random.Next(1, 32) * 512];
            random.NextBytes(bytes);
            if (i % 7 == 6)
                await disk.TrimAsync(offset, bytes.Length, _ct);
            else
                await disk.WriteAsync(offset, bytes, WriteFlags.None, _ct);
        }
    }

    private async Task<byte[]> ContentAsync(WorkerUnderTest worker)
    {
        await worker.WaitForAsync(status => status.Problem is null && status.Size > 0, _ct);
        await using var disk = await worker.ConnectAsync("disk0", _ct);
        var bytes = new byte[Size];
        await disk.ReadAsync(0, bytes, _ct);
        return bytes;
    }

    /// <summary>Compares what a point says over NBD with what really differs.</summary>
    /// <returns>Bytes that may have changed.</returns>
    private async Task<long> CheckAsync(WorkerUnderTest worker, string point, byte[] then)
    {
        var now = await ContentAsync(worker);
        var options = new NbdClientOptions { ChangesSince = point };
        await using var disk = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(worker.NbdSocket), "disk0", options, _ct);
        var changed = 0L;
        ChangedRun run;
        for (long at = 0; at < Size; at = run.End)
        {
            run = await disk.GetChangesAsync(at, Size - at, _ct);
            changed += run.Changed ? run.Length : 0;
            var range = (int)at..(int)run.End;
            Assert.True(run.Changed || now.AsSpan(range).SequenceEqual(then.AsSpan(range)), $"point {point}: {run} differs\n{worker.Log}");
        }

        Assert.Equal(changed, (await worker.DiskAsync(_ct)).Points!.Single(each => each.Name == point).ChangedBytes);
        return changed;
    }
}
