using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Testing.Disks;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

/// <summary>What a disk was promised: told when it wants it and does not get it.</summary>
public sealed class MinimumTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly FakeTimeProvider _time = new();
    private DelayedDisk? _inner;

    [Theory]
    [InlineData(10, 4096, 200, 100)]
    [InlineData(10, 65536, 1000, 800)]
    [InlineData(50, 4096, 100, 20)]
    public async Task A_busy_disk_that_does_less_is_short_since_the_window_began(int milliseconds, int length, int minimum, int got)
    {
        await using var disk = Slow(milliseconds, minimum);
        var start = _time.GetUtcNow();
        await ReadForAsync(disk, TimeSpan.FromSeconds(5.5), length, pause: 0);
        Assert.Equal(start, disk.Shortfall!.Since);
        Assert.InRange(disk.Shortfall.RequestsPerSecond, got * 0.9, got);
        await ReadForAsync(disk, TimeSpan.FromSeconds(30), length, pause: 0);
        Assert.Equal(start, disk.Shortfall.Since);
    }

    [Theory]
    [InlineData(10, 99, 0)] // quick enough
    [InlineData(10, 1000, 10)] // its user takes as long as the disk
    public async Task A_disk_that_does_enough_or_whose_user_wants_less_is_not_short(int milliseconds, int minimum, int pause)
    {
        await using var disk = Slow(milliseconds, minimum);
        await ReadForAsync(disk, TimeSpan.FromSeconds(16), 4096, pause);
        Assert.Null(disk.Shortfall);
    }

    [Fact]
    public async Task An_idle_disk_is_not_short_any_more_and_a_stuck_one_is()
    {
        await using var disk = Slow(10, 200);
        await ReadForAsync(disk, TimeSpan.FromSeconds(6), 4096, pause: 0);
        Assert.NotNull(disk.Shortfall);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Null(disk.Shortfall);

        _inner!.ReadDelay = TimeSpan.FromMinutes(1);
        var read = disk.ReadAsync(0, new byte[512], None).AsTask();
        _time.Advance(TimeSpan.FromSeconds(6));
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(0, disk.Shortfall!.RequestsPerSecond);
        disk.Limits = DiskLimits.None;
        Assert.Null(disk.Shortfall);
        _time.Advance(TimeSpan.FromMinutes(1));
        await read;
    }

    [Fact]
    public async Task What_failed_does_not_count_and_a_limit_that_holds_it_up_does()
    {
        var faulty = new FaultyDisk(new ReferenceDisk(1 << 20));
        faulty.Rules.FailAlways(Testing.Files.FileOperation.Read);
        var slow = new DelayedDisk(faulty, _time) { ReadDelay = TimeSpan.FromMilliseconds(1) };
        await using var disk = new ThrottledDisk(slow, _time) { Limits = DiskLimits.None with { MinimumRequestsPerSecond = 10 } };
        await ReadForAsync(disk, TimeSpan.FromSeconds(6), 4096, pause: 0);
        Assert.Equal(0, disk.Shortfall!.RequestsPerSecond);

        await using var held = new ThrottledDisk(new ReferenceDisk(1 << 20), _time) { Limits = new DiskLimits(null, 40_960) { MinimumRequestsPerSecond = 100 } };
        await ReadForAsync(held, TimeSpan.FromSeconds(11), 4096, pause: 0);
        Assert.InRange(held.Shortfall!.RequestsPerSecond, 8, 11);
    }

    private ThrottledDisk Slow(int milliseconds, int minimum)
    {
        _inner = new DelayedDisk(new ReferenceDisk(1 << 20), _time) { ReadDelay = TimeSpan.FromMilliseconds(milliseconds) };
        return new ThrottledDisk(_inner, _time) { Limits = DiskLimits.None with { MinimumRequestsPerSecond = minimum } };
    }

    /// <summary>Reads one after the other, pausing in between. Away from the tests' synchronization context what waits for the clock goes
    /// on within Advance.</summary>
    private Task ReadForAsync(BlockDevice disk, TimeSpan duration, int length, int pause) => Task.Run(() =>
    {
        var start = _time.GetUtcNow();
        while (_time.GetUtcNow() - start < duration)
        {
            var read = disk.ReadAsync(0, new byte[length], None).AsTask();
            while (!read.IsCompleted)
                _time.Advance(TimeSpan.FromMilliseconds(1));
            _ = read.Exception;
            if (pause > 0)
                _time.Advance(TimeSpan.FromMilliseconds(pause));
        }
    });
}
