using System.Diagnostics;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Limits of a disk in a real worker.</summary>
public sealed class LimitTests
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_limit_holds_at_once_and_in_the_worker_that_comes_after_a_kill_and_can_be_taken_away()
    {
        await using var worker = await WorkerUnderTest.StartAsync(64 << 20, _ct, "disk0.img");
        var reply = await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(RequestsPerSecond: 40)), _ct);
        Assert.Equal(40, reply.Status!.Disks[0].Limits!.RequestsPerSecond);
        Assert.InRange(await SecondsAsync(worker, 40), 0.8, 10);

        Assert.True(worker.KillWorker());
        Assert.Equal(40, (await worker.WaitForAsync(disk => disk.Problem is null && disk.Statistics is not null, _ct)).Limits!.RequestsPerSecond);
        Assert.InRange(await SecondsAsync(worker, 40), 0.8, 10);

        reply = await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec()), _ct);
        Assert.Null(reply.Status!.Disks[0].Limits);
        Assert.InRange(await SecondsAsync(worker, 40), 0, 0.7);
    }

    [Fact(Timeout = 60_000)]
    public async Task Nonsense_is_refused_and_changes_nothing()
    {
        await using var worker = await WorkerUnderTest.StartAsync(1 << 20, _ct, "disk0.img");
        DiskLimitSpec[] nonsense =
        [
            new(0), new(null, -1), new(BurstRequestsPerSecond: 5), new(5, BurstRequestsPerSecond: 5), new(5, BurstSeconds: 3), new(5, MinimumRequestsPerSecond: 6),
        ];
        foreach (var limits in nonsense)
            Assert.Equal(ErrorCode.InvalidRequest, (await worker.AskAsync(new LimitDisk("disk0", limits), _ct)).Problem?.Code);
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(new LimitDisk("other", new DiskLimitSpec(1)), _ct)).Problem?.Code);
        Assert.Null((await worker.DiskAsync(_ct)).Limits);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_burst_is_over_after_its_time_and_a_promise_that_is_not_kept_is_told_and_logged()
    {
        await using var worker = await WorkerUnderTest.StartAsync(64 << 20, _ct, "disk0.img");
        await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(40, BurstRequestsPerSecond: 1000, BurstSeconds: 1)), _ct);
        Assert.InRange(await SecondsAsync(worker, 400), 0.2, 5);

        // Too little for the promise by a limit on bytes; the slow disk of a test.
        var limits = new DiskLimitSpec(BytesPerSecond: 40_960, MinimumRequestsPerSecond: 1000);
        Assert.Null((await worker.AskAsync(new LimitDisk("disk0", limits), _ct)).Status!.Disks[0].Shortfall);
        await SecondsAsync(worker, 80);
        Assert.True(worker.KillWorker());
        Assert.Equal(limits, (await worker.WaitForAsync(disk => disk.Problem is null && disk.Statistics is not null, _ct)).Limits);
        await SecondsAsync(worker, 80);
        var shortfall = (await worker.DiskAsync(_ct)).Shortfall!;
        Assert.Equal(1000, shortfall.Minimum);
        Assert.InRange(shortfall.RequestsPerSecond, 1, 20);
        await worker.WaitForAsync(disk => disk.Shortfall is null, _ct);
        await worker.WaitForLogAsync("or wants fewer", _ct);
        Assert.Contains("of the 1000 it was promised", worker.Log, StringComparison.Ordinal);
    }

    /// <summary>How long so many reads take, one after the other.</summary>
    private async Task<double> SecondsAsync(WorkerUnderTest worker, int reads)
    {
        await using var disk = await worker.ConnectAsync("disk0", _ct);
        var watch = Stopwatch.StartNew();
        for (var read = 0; read < reads; read++)
            await disk.ReadAsync(read * 4096, new byte[4096], _ct);
        return watch.Elapsed.TotalSeconds;
    }
}
