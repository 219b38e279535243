using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Testing.Disks;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

public sealed class ThrottledDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) =>
        new(new DiskUnderTest(new ThrottledDisk(new ReferenceDisk(size), TimeProvider.System)));
}

public sealed class LimitedDiskConformance : DiskConformance
{
    protected override string? AllocatesBecause => "a request that is held back is a task";

    protected override ValueTask<DiskUnderTest> CreateAsync(long size) => new(new DiskUnderTest(
        new ThrottledDisk(new ReferenceDisk(size), TimeProvider.System) { Limits = new DiskLimits(1_000_000, 1L << 40) }));
}

public sealed class ThrottledDiskTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(100, null, 4096, 100)]
    [InlineData(100, null, 65536, 12.5)]
    [InlineData(null, 1_000_000, 10_000, 100)]
    [InlineData(100, 100_000, 10_240, 9.77)]
    public async Task A_second_sees_as_many_requests_as_the_limits_allow(int? requests, int? bytes, int length, double expected)
    {
        await using var disk = new ThrottledDisk(new ReferenceDisk(1 << 20), _time) { Limits = new DiskLimits(requests, bytes) };

        // Away from the tests' synchronization context what waited for the clock goes on within Advance: nothing depends on other threads.
        var done = await Task.Run(() => RequestsIn(TimeSpan.FromSeconds(20), disk, new byte[length / 512 * 512]), TestContext.Current.CancellationToken);
        Assert.InRange(done / 20.0, expected * 0.85, (expected * 1.05) + 1);
    }

    [Theory]
    [InlineData(100, 1000, 2, 4096)]
    [InlineData(100, 150, 10, 4096)]
    [InlineData(800, 1600, 3, 32768)]
    public async Task A_burst_lasts_its_time_at_its_rate_and_idle_time_saves_up_the_next(int rate, int burst, int seconds, int length)
    {
        var cost = Math.Max(1, length / 8192);
        await using var disk = new ThrottledDisk(new ReferenceDisk(1 << 20), _time)
        {
            Limits = new DiskLimits(rate, null) { BurstRequestsPerSecond = burst, BurstSeconds = seconds },
        };
        var (during, after) = await Task.Run(() => Run(seconds, 20), TestContext.Current.CancellationToken);
        Assert.InRange(during * cost, burst * seconds * 0.85, (burst * seconds * 1.05) + (burst * 0.15) + cost);
        Assert.InRange(after * cost / 20.0, rate * 0.85, (rate * 1.05) + (burst * 0.15 / 20) + 1);

        // Nothing was left of it; an hour saves up one, not many.
        _time.Advance(TimeSpan.FromHours(1));
        (during, after) = await Task.Run(() => Run(seconds, 20), TestContext.Current.CancellationToken);
        Assert.InRange(during * cost, burst * seconds * 0.85, (burst * seconds * 1.05) + (burst * 0.15) + cost);
        Assert.InRange(after * cost / 20.0, rate * 0.85, (rate * 1.05) + (burst * 0.15 / 20) + 1);

        (int During, int After) Run(int first, int second) =>
            (RequestsIn(TimeSpan.FromSeconds(first), disk, new byte[length]), RequestsIn(TimeSpan.FromSeconds(second), disk, new byte[length]));
    }

    [Fact]
    public async Task Limits_are_lifted_for_who_waits_and_flushes_never_wait()
    {
        await using var disk = new ThrottledDisk(new ReferenceDisk(1 << 20), _time) { Limits = new DiskLimits(1, null) };
        var waiting = disk.WriteAsync(0, new byte[65536], WriteFlags.None, None).AsTask();
        var another = disk.TrimAsync(0, 512, None).AsTask();
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(waiting.IsCompleted || another.IsCompleted);
        Assert.True(disk.FlushAsync(None).IsCompletedSuccessfully);
        disk.Limits = DiskLimits.None;
        _time.Advance(TimeSpan.FromSeconds(1));
        await waiting;
        await another;
        Assert.True(disk.ReadAsync(0, new byte[512], None).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_cancelled_wait_changes_nothing()
    {
        await using var disk = new ThrottledDisk(new ReferenceDisk(1 << 20), _time) { Limits = new DiskLimits(null, 1) };
        using var cancel = new CancellationTokenSource();
        var bytes = new byte[512];
        Array.Fill(bytes, (byte)1);
        var waiting = disk.WriteAsync(0, bytes, WriteFlags.None, cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        disk.Limits = DiskLimits.None;
        var read = new byte[512];
        await disk.ReadAsync(0, read, None);
        Assert.Equal(new byte[512], read);
    }

    private int RequestsIn(TimeSpan duration, BlockDevice disk, byte[] buffer)
    {
        var done = 0;
        var start = _time.GetUtcNow();
        for (; _time.GetUtcNow() - start < duration; done++)
        {
            var read = disk.ReadAsync(0, buffer, None);
            while (!read.IsCompleted)
                _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        return done;
    }
}
