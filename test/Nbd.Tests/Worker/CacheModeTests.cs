using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Disks served with each cache mode, by the worker as it runs: in its sandbox, with its connections' rings.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class CacheModeTests
{
    private const long Size = 64 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData("disk0.vhdx", DiskCache.None)]
    [InlineData("disk0.img", DiskCache.None)]
    [InlineData("disk0.vhdx", DiskCache.Writethrough)]
    public async Task QEMU_s_tools_read_what_they_wrote_and_a_killed_worker_loses_nothing(string name, DiskCache cache)
    {
        await using var worker = await StartAsync(name, cache);
        var uri = $"nbd+unix:///disk0?socket={worker.NbdSocket}";
        await Tools.RunAsync(
            ["qemu-io", "-f", "raw", uri, "-c", "write -P 1 0 1M", "-c", "write -P 2 512 512", "-c", "aio_write -P 3 3M 64k", "-c", "aio_write -P 4 4M 4k",
                "-c", "aio_flush", "-c", "write -z 5M 1M", "-c", "discard 6M 1M", "-c", "write -P 5 7340544 3584"], _ct);
        Assert.True(worker.KillWorker());
        await worker.StatusAsync(_ct);
        await Tools.RunAsync(
            ["qemu-io", "-f", "raw", uri, "-c", "read -P 1 0 512", "-c", "read -P 2 512 512", "-c", "read -P 1 1k 1023k", "-c", "read -P 3 3M 64k", "-c", "read -P 4 4M 4k",
                "-c", "read -P 0 5M 2M", "-c", "read -P 5 7340544 3584"], _ct);
        Assert.Null((await worker.DiskAsync(_ct)).Gaps);
    }

    [Fact(Timeout = 120_000)]
    public async Task Without_the_cache_no_page_of_the_data_stays_there()
    {
        await using var worker = await StartAsync("disk0.img", DiskCache.None);
        var data = new byte[1 << 20];
        await using (var device = await worker.ConnectAsync("disk0", _ct))
        {
            for (var at = 0L; at < Size; at += data.Length)
                await device.WriteAsync(at, data, WriteFlags.None, _ct);
            for (var at = 0L; at < Size; at += data.Length)
                await device.ReadAsync(at, data, _ct);
            await device.FlushAsync(_ct);
        }

        var pages = await ChildProgram.RunAsync("fincore", ["--noheadings", "--raw", "--output", "PAGES", worker.File("disk0.img")], null, _ct);
        Assert.Equal("0", pages.Succeeded().Output.Trim());
    }

    [Fact(Timeout = 300_000)]
    public async Task Killing_the_worker_loses_no_acknowledged_write_around_the_cache()
    {
        await using var worker = await StartAsync("disk0.vhdx", DiskCache.None);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 4, seed: 11);
        for (var i = 0; i < 8; i++)
        {
            await Task.Delay(150, _ct);
            await writers.StallAsync(i % 2 == 0 ? () => worker.RestartAsync(_ct) : () => Task.FromResult(worker.KillWorker()), _ct);
        }

        await writers.StopAsync();
        await worker.StopAsync(_ct);
        writers.Check(await Tools.ToRawAsync(worker.File("disk0.vhdx"), _ct));
        Assert.Equal(0, writers.Errors);
    }

    [Fact(Timeout = 120_000)]
    public async Task A_mirror_keeps_the_mode()
    {
        await using var worker = await StartAsync("disk0.vhdx", DiskCache.None);
        var job = Guid.NewGuid();
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 2, seed: 12, TimeSpan.FromMilliseconds(1));
        await worker.AskAsync(new StartMirror("disk0", job, worker.File("moved.vhdx"), null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", job), _ct)).Problem);
        await writers.StallAsync(() => Task.CompletedTask, _ct);
        await writers.StopAsync();
        Assert.Equal(DiskCache.None, worker.Read().Disks[0].Disk.Cache);
        await worker.StopAsync(_ct);
        writers.Check(await Tools.ToRawAsync(worker.File("moved.vhdx"), _ct));
    }

    private async Task<WorkerUnderTest> StartAsync(string name, DiskCache cache)
    {
        var worker = WorkerUnderTest.Create();
        await worker.MakeImageAsync(worker.File(name), Size, _ct);
        worker.Write(new WorkerConfig(Guid.NewGuid(), [new WorkerDiskConfig(new WorkerDisk("disk0", worker.File(name), Cache: cache))]));
        worker.Supervise();
        await worker.StatusAsync(_ct);
        return worker;
    }
}
