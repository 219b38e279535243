using Godwit.Storage.Bitmaps;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;
using Godwit.Testing.Files;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>A mirror writes nothing while its computer is not known to own the disk: neither for guests nor for itself.</summary>
public sealed class FencedMirrorTests
{
    private const int Size = 8 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(100);

    [Theory(Timeout = 60_000)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_deadline_in_the_middle_of_the_copy_stops_every_write_and_a_renewal_lets_it_go_on(int lanes)
    {
        var time = new FakeTimeProvider();
        await using var rig = new Rig(time, lanes);
        rig.Fence.Renew(1, Second);
        rig.Start();
        await rig.CopiedAsync(Size / 8);
        time.Advance(Second);
        Assert.True(await rig.Fence.HoldAsync(None));
        var before = await MirrorRig.ContentAsync(rig.Target);
        var events = rig.TargetFile.Count(FileOperation.Write) + rig.TargetFile.Count(FileOperation.Flush);
        rig.Limit.PerSecond = null;
        await Task.Delay(Moment, None);
        Assert.Equal(before, await MirrorRig.ContentAsync(rig.Target));
        Assert.Equal(events, rig.TargetFile.Count(FileOperation.Write) + rig.TargetFile.Count(FileOperation.Flush));
        Assert.Equal(MirrorDiskState.Copying, rig.Mirror.State);
        Assert.True(rig.Bitmap.DirtyBytes > 0, "the copy was over, so this proves nothing");

        rig.Fence.Renew(1, Second);
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_starts_without_its_lease_is_not_copied_before_it_has_one()
    {
        await using var rig = new Rig(new FakeTimeProvider(), lanes: 2);
        Assert.True(await rig.Fence.HoldAsync(None));
        rig.Limit.PerSecond = null;
        rig.Start();
        await Task.Delay(Moment, None);
        Assert.Equal(0, rig.TargetFile.Count(FileOperation.Write));
        Assert.Equal(Size, rig.Copy.Progress.Left);
        rig.Fence.Renew(1, Second);
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
    }

    [Theory(Timeout = 60_000)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Revoked_the_mirror_fails_in_words_and_writes_nothing_more(bool verified, bool heldBefore)
    {
        await using var rig = new Rig(new FakeTimeProvider(), lanes: 2);
        if (verified)
            rig.Limit.PerSecond = null;
        rig.Start();
        if (verified)
            await rig.UntilAsync(MirrorDiskState.Verified);
        else
            await rig.CopiedAsync(Size / 8);
        if (heldBefore)
            Assert.True(await rig.Fence.HoldAsync(None));
        rig.Fence.Revoke("host b has generation 2");
        Assert.True(await rig.Fence.HoldAsync(None));
        var before = await MirrorRig.ContentAsync(rig.Target);
        rig.Limit.PerSecond = null;
        await rig.Running;
        Assert.Equal(MirrorDiskState.Failed, rig.Mirror.State);
        Assert.Equal(StorageErrorKind.Closed, rig.Mirror.Problem!.Kind);
        Assert.Contains("host b has generation 2", rig.Mirror.Problem.Message, StringComparison.Ordinal);
        Assert.Equal(before, await MirrorRig.ContentAsync(rig.Target));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Holding_waits_for_a_write_of_the_copy_that_is_under_way_also_when_the_copy_ends(bool cancelled)
    {
        await using var rig = new Rig(new FakeTimeProvider(), lanes: 1);
        rig.Limit.PerSecond = null;
        var slow = rig.TargetFile.Hold(FileOperation.Write, nth: 3);
        rig.Start();
        await slow.Reached;
        var holding = rig.Fence.HoldAsync(None);
        if (cancelled)
            await rig.StopAsync();
        await Task.Delay(Moment, None);
        Assert.False(holding.IsCompleted);
        slow.Release();
        Assert.True(await holding);
        Assert.Equal(3, rig.TargetFile.Count(FileOperation.Write));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(FileOperation.Write)]
    [InlineData(FileOperation.Flush)]
    public async Task Holding_waits_for_what_a_guest_does_not_wait_for_any_longer(FileOperation operation)
    {
        var time = new FakeTimeProvider();
        await using var rig = new Rig(time, lanes: 1);
        rig.Limit.PerSecond = null;
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        var slow = rig.TargetFile.Hold(operation);
        var request = operation == FileOperation.Flush
            ? rig.Guest.FlushAsync(None).AsTask()
            : rig.Guest.WriteAsync(0, MirrorRig.Noise(9, 4096), WriteFlags.None, None).AsTask();
        await slow.Reached;
        time.Advance(rig.Mirror.Options.TargetTimeLimit);
        await request;
        var holding = rig.Fence.HoldAsync(None);
        await Task.Delay(Moment, None);
        Assert.False(holding.IsCompleted);
        slow.Release();
        Assert.True(await holding);
    }

    [Fact(Timeout = 120_000)]
    public async Task Whatever_the_timing_no_byte_changes_once_holding_has_returned()
    {
        await using var rig = new Rig(TimeProvider.System, lanes: 3);
        rig.Limit.PerSecond = null;
        rig.Fence.Renew(1, TimeSpan.FromHours(1));
        rig.Start();
        using var stop = new CancellationTokenSource();
        var guests = Enumerable.Range(0, 3).Select(guest => Task.Run(async () =>
        {
            var random = new Random(guest);
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                await rig.Guest.WriteAsync(random.Next(Size / 4096) * 4096L, MirrorRig.Noise(i, 4096), WriteFlags.None, None);
                if (i % 50 == 0)
                    rig.Mirror.Condition.FallBack();
            }
        })).ToArray();
        var quiet = 0;
        for (var round = 0; round < 100; round++)
        {
            if (round % 2 == 0)
                rig.Fence.Renew(round + 1, TimeSpan.FromMicroseconds(1 + (round * 7)));
            await Task.Delay(round % 3, None);
            Assert.True(await rig.Fence.HoldAsync(None));
            var before = rig.Events;
            await Task.Delay(1, None);
            Assert.Equal(before, rig.Events);
            quiet += rig.Mirror.State == MirrorDiskState.Copying ? 1 : 0;
            rig.Fence.Renew(round + 1, TimeSpan.FromHours(1));
        }

        await stop.CancelAsync();
        await Task.WhenAll(guests);
        Assert.True(quiet > 0, "the mirror was never copying, so this proves nothing");
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
    }

    /// <summary>A mirror under a fence, as a worker has it.</summary>
    private sealed class Rig : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();

        public Rig(TimeProvider time, int lanes)
        {
            SourceFile = new FaultyFile(new MemoryFile(MirrorRig.Noise(1, Size)));
            TargetFile = new FaultyFile(MirrorRig.Empty(Size));
            Source = RawDisk.Open(SourceFile);
            Target = RawDisk.Open(TargetFile);
            Fence = new Fence(time);
            var options = new MirrorOptions { FirstRetryAfter = TimeSpan.FromMilliseconds(1), ChunksAtOnce = lanes };
            Mirror = new MirrorDisk(Source, Target, Bitmap, time, options, fence: Fence);
            Guest = new FencedDisk(Mirror, Fence);
            // The copy's own clock goes on, so that its rate and its waits are real.
            Limit = new RateLimit(16 << 20, TimeProvider.System);
            Copy = new BackgroundCopy(Mirror, Limit, TimeProvider.System) { MostBytesPerChunk = 64 << 10 };
        }

        public FaultyFile SourceFile { get; }

        public FaultyFile TargetFile { get; }

        public RawDisk Source { get; }

        public RawDisk Target { get; }

        public DirtyBitmap Bitmap { get; } = DirtyBitmap.InMemory(Size);

        public Fence Fence { get; }

        public MirrorDisk Mirror { get; }

        public FencedDisk Guest { get; }

        public RateLimit Limit { get; }

        public BackgroundCopy Copy { get; }

        public Task Running { get; private set; } = Task.CompletedTask;

        /// <summary>What has been asked of both files so far.</summary>
        public int Events => SourceFile.Count(FileOperation.Write) + SourceFile.Count(FileOperation.Flush)
            + TargetFile.Count(FileOperation.Write) + TargetFile.Count(FileOperation.Flush);

        public void Start() => Running = Copy.RunAsync(_stop.Token);

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        public async Task CopiedAsync(long bytes)
        {
            while (Copy.Progress.Copied < bytes)
                await Task.Delay(1, None);
        }

        public async Task UntilAsync(MirrorDiskState wanted)
        {
            for (var state = Mirror.State; state != wanted; state = await Mirror.WaitWhileAsync(state, None))
                Assert.True(state != MirrorDiskState.Failed, $"the mirror failed: {Mirror.Problem}");
        }

        public async Task AssertEqualAsync()
        {
            var (source, target) = (await MirrorRig.ContentAsync(Source), await MirrorRig.ContentAsync(Target));
            Assert.Equal(Size, source.AsSpan().CommonPrefixLength(target));
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            TargetFile.Heal();
            await Mirror.DisposeAsync();
            Fence.Dispose();
            Bitmap.Dispose();
            _stop.Dispose();
        }
    }
}
