using Godwit.Storage.Decorators;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

public sealed class FencedDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var fence = new Fence(BootTime.Clock);
        fence.Renew(1, TimeSpan.FromHours(1));
        return new(new DiskUnderTest(new FencedDisk(new ReferenceDisk(size), fence)));
    }
}

public sealed class FencedDiskWithoutLeaseConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) => new(new DiskUnderTest(new FencedDisk(new ReferenceDisk(size), new Fence(BootTime.Clock))));
}

public sealed class FencedDiskTests
{
    private const int Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly FakeTimeProvider _time = new();

    [Fact(Timeout = 20_000)]
    public async Task After_the_deadline_everything_is_held_until_the_lease_is_renewed()
    {
        using var fence = new Fence(_time);
        await using var disk = new FencedDisk(new ReferenceDisk(Size), fence);
        fence.Renew(3, Second);
        await disk.WriteAsync(0, Filled(1), WriteFlags.None, None);
        _time.Advance(Second);
        Assert.True(fence.IsHeld);
        var found = new byte[512];
        Task[] held =
        [
            disk.WriteAsync(0, Filled(2), WriteFlags.None, None).AsTask(), disk.ReadAsync(0, found, None).AsTask(), disk.FlushAsync(None).AsTask(),
            disk.TrimAsync(512, 512, None).AsTask(), disk.WriteZeroesAsync(1024, 512, WriteFlags.None, None).AsTask(),
            disk.GetExtentAsync(0, 512, None).AsTask(),
        ];
        Assert.Equal(0, disk.TryMoveToPipe(0, 512, -1));
        Assert.DoesNotContain(held, task => task.IsCompleted);
        fence.Renew(3, Second);
        await Task.WhenAll(held);
        // Requests that were under way together have no order: the read may see either write, the one after both only the last.
        Assert.InRange(found[0], 1, 2);
        await disk.ReadAsync(0, found, None);
        Assert.Equal(2, found[0]);
        Assert.Equal(3, fence.Generation);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_late_timer_lets_nothing_pass()
    {
        var time = new TimerlessTime();
        using var fence = new Fence(time);
        await using var disk = new FencedDisk(new ReferenceDisk(Size), fence);
        fence.Renew(1, Second);
        time.Now += time.TimestampFrequency;
        var write = disk.WriteAsync(0, Filled(1), WriteFlags.None, None).AsTask();
        Assert.True(fence.IsHeld);
        Assert.False(write.IsCompleted);
        fence.Renew(1, Second);
        await write;
    }

    [Fact(Timeout = 20_000)]
    public async Task Holding_waits_for_what_is_under_way_and_a_renewal_ends_the_wait()
    {
        var slow = new FaultyDisk(new ReferenceDisk(Size));
        var hold = slow.Rules.Hold(FileOperation.Write);
        using var fence = new Fence(_time);
        await using var disk = new FencedDisk(slow, fence);
        var write = disk.WriteAsync(0, Filled(1), WriteFlags.None, None).AsTask();
        var holding = fence.HoldAsync(None);
        Assert.False(holding.IsCompleted);
        fence.Renew(1, Second);
        Assert.False(await holding);
        holding = fence.HoldAsync(None);
        Assert.False(holding.IsCompleted);
        hold.Release();
        await write;
        Assert.True(await holding);
        Assert.True(await fence.HoldAsync(None));
        var after = disk.WriteAsync(0, Filled(2), WriteFlags.None, None).AsTask();
        Assert.False(after.IsCompleted);
        fence.Renew(2, Second);
        await after;
    }

    [Fact(Timeout = 20_000)]
    public async Task Revoked_everything_fails_also_what_is_held()
    {
        using var fence = new Fence(_time);
        await using var disk = new FencedDisk(new ReferenceDisk(Size), fence);
        fence.Renew(1, Second);
        _time.Advance(Second);
        var held = disk.WriteAsync(0, Filled(1), WriteFlags.None, None).AsTask();
        fence.Revoke("host b has generation 2");
        Assert.Contains("host b has generation 2", (await Assert.ThrowsAsync<StorageException>(() => held)).Message, StringComparison.Ordinal);
        Func<ValueTask>[] all =
        [
            () => disk.WriteAsync(0, Filled(1), WriteFlags.None, None), () => disk.ReadAsync(0, new byte[512], None), () => disk.FlushAsync(None),
            async () => await disk.GetExtentAsync(0, 512, None),
        ];
        foreach (var request in all)
            Assert.Equal(StorageErrorKind.Closed, (await Assert.ThrowsAsync<StorageException>(async () => await request())).Kind);
        Assert.Equal(0, disk.TryMoveToPipe(0, 512, -1));
        Assert.Throws<StorageException>(() => fence.Renew(5, Second));
        Assert.True(await fence.HoldAsync(None));
        await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, Filled(1), WriteFlags.None, None));
    }

    [Fact]
    public async Task An_older_generation_and_a_lease_without_time_are_refused()
    {
        using var fence = new Fence(_time);
        await using var disk = new FencedDisk(new ReferenceDisk(Size), fence);
        fence.Renew(7, Second);
        Assert.Throws<StorageException>(() => fence.Renew(6, Second));
        Assert.Throws<StorageException>(() => fence.Renew(8, TimeSpan.Zero));
        Assert.Equal(7, fence.Generation);
        _time.Advance(Second);
        Assert.True(fence.IsHeld);
    }

    [Fact(Timeout = 20_000)]
    public async Task Who_is_held_may_give_up()
    {
        using var fence = new Fence(_time);
        await using var disk = new FencedDisk(new ReferenceDisk(Size), fence);
        Assert.True(await fence.HoldAsync(None));
        using var stop = new CancellationTokenSource();
        var write = disk.WriteAsync(0, Filled(1), WriteFlags.None, stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        fence.Renew(1, Second);
        Assert.True(await fence.HoldAsync(None));
    }

    [Fact(Timeout = 120_000)]
    public async Task Whatever_the_timing_no_write_is_beneath_once_holding_has_returned()
    {
        var inner = new WatchedDisk(new ReferenceDisk(Size));
        using var fence = new Fence(BootTime.Clock);
        await using var disk = new FencedDisk(inner, fence);
        using var stop = new CancellationTokenSource();
        fence.Renew(1, TimeSpan.FromHours(1));
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            var count = 0;
            for (; !stop.IsCancellationRequested; count++)
                await disk.WriteAsync(random.Next(Size / 512) * 512, Filled((byte)writer), WriteFlags.None, None);
            return count;
        })).ToArray();
        var generation = 1;
        for (var round = 0; round < 300; round++)
        {
            // By word, or by a deadline of some microseconds that comes up anywhere.
            if (round % 2 == 0)
                fence.Renew(generation, TimeSpan.FromMicroseconds(1 + (round % 50)));
            while (round % 2 == 0 && !fence.IsHeld)
                await Task.Yield();
            Assert.True(await fence.HoldAsync(None));
            var before = inner.Started;
            inner.IsForbidden = true;
            await Task.Delay(round % 3, None);
            Assert.Equal((before, before), (inner.Started, inner.Ended));
            inner.IsForbidden = false;
            fence.Renew(++generation, TimeSpan.FromHours(1));
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(writers), count => Assert.True(count > 0));
        Assert.Equal(0, inner.Violations);
    }

    [Fact]
    public void The_clock_goes_forward_at_the_speed_of_the_others()
    {
        var (boot, system) = (BootTime.Clock.GetTimestamp(), TimeProvider.System.GetTimestamp());
        SpinWait.SpinUntil(() => TimeProvider.System.GetElapsedTime(system) > TimeSpan.FromMilliseconds(50));
        var difference = BootTime.Clock.GetElapsedTime(boot) - TimeProvider.System.GetElapsedTime(system);
        Assert.InRange(difference.TotalMilliseconds, -20, 10_000);
        Assert.True(BootTime.Clock.GetElapsedTime(boot) >= TimeSpan.FromMilliseconds(49));
    }

    private static byte[] Filled(byte value)
    {
        var bytes = new byte[512];
        bytes.AsSpan().Fill(value);
        return bytes;
    }

    private sealed class TimerlessTime : TimeProvider
    {
        public long Now { get; set; }

        public override long GetTimestamp() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan) is { } timer ? new Deaf(timer) : null!;

        private sealed class Deaf(ITimer timer) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose() => timer.Dispose();

            public ValueTask DisposeAsync() => timer.DisposeAsync();
        }
    }

    /// <summary>Counts writes, and those that come when there must be none.</summary>
    private sealed class WatchedDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        private long _started;
        private long _ended;
        private long _violations;
        private volatile bool _isForbidden;

        public long Started => Interlocked.Read(ref _started);

        public long Ended => Interlocked.Read(ref _ended);

        public long Violations => Interlocked.Read(ref _violations);

        public bool IsForbidden
        {
            get => _isForbidden;
            set => _isForbidden = value;
        }

        protected override async ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _started);
            if (_isForbidden)
                Interlocked.Increment(ref _violations);
            if (offset % 3 == 0)
                await Task.Yield();
            await Inner.WriteAsync(offset, buffer, flags, cancellationToken);
            if (_isForbidden)
                Interlocked.Increment(ref _violations);
            Interlocked.Increment(ref _ended);
        }
    }
}
