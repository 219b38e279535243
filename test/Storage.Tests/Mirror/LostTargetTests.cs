using Godwit.Storage.Bitmaps;
using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>A target on another host, which loses its power or its link while guests write.</summary>
public sealed class LostTargetTests
{
    private const int Size = 2 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly ReferenceDisk _source = new(Size);
    private readonly ForgetfulDisk _target = new(Size);

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task What_the_target_forgot_is_copied_again_whenever_it_forgot_it(int chunksAtOnce)
    {
        for (var round = 0; round < 15; round++)
        {
            using var bitmap = DirtyBitmap.InMemory(Size);
            using var unflushed = UnflushedRanges.InMemory(Size);
            await using var mirror = Mirror(bitmap, unflushed, chunksAtOnce);
            var copy = new BackgroundCopy(mirror, new RateLimit(null, TimeProvider.System), TimeProvider.System) { MostBytesPerChunk = 16 << 10 };
            using var stop = new CancellationTokenSource();
            var running = copy.RunAsync(stop.Token);
            var guests = Task.WhenAll(Task.Run(() => WriteAsync(mirror, round)), Task.Run(() => WriteAsync(mirror, round + 100)));
            for (var loss = 0; loss < 3; loss++)
            {
                await Task.Delay(round % 5, None);
                await _target.LoseAsync(TimeSpan.FromMilliseconds(loss));
            }

            await guests;
            await UntilVerifiedAsync(mirror);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
            Assert.Equal(await MirrorRig.ContentAsync(_source), _target.Content);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_loss_that_no_request_met_is_noticed_and_costs_only_what_was_not_flushed()
    {
        await _source.WriteAsync(0, MirrorRig.Noise(1, Size), WriteFlags.None, None);
        using var bitmap = DirtyBitmap.InMemory(Size);
        using var unflushed = UnflushedRanges.InMemory(Size);
        await using var mirror = Mirror(bitmap, unflushed, 1);
        var copy = new BackgroundCopy(mirror, new RateLimit(null, TimeProvider.System), TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var running = copy.RunAsync(stop.Token);
        await UntilVerifiedAsync(mirror);
        await mirror.WriteAsync(64 << 10, MirrorRig.Noise(2, 8192), WriteFlags.None, None);
        var copied = copy.Progress.Copied;
        await _target.LoseAsync(TimeSpan.Zero);
        await UntilVerifiedAsync(mirror);
        Assert.Equal(8192, copy.Progress.Copied - copied);
        Assert.Equal(await MirrorRig.ContentAsync(_source), _target.Content);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public void A_range_added_during_a_flush_is_not_covered_by_it()
    {
        using var ranges = UnflushedRanges.InMemory(Size);
        ranges.Add(0, 4096);
        Assert.True(ranges.TryBeginFlush());
        Assert.False(ranges.TryBeginFlush());
        ranges.Add(0, 1);
        ranges.Add(Size - 512, 512);
        ranges.EndFlush(flushed: true);
        Assert.Equal([(0, 4096), (Size - 4096, 4096)], Marked(ranges));
        Assert.True(ranges.TryBeginFlush());
        ranges.EndFlush(flushed: false);
        Assert.Equal([(0, 4096), (Size - 4096, 4096)], Marked(ranges));
        Assert.True(ranges.TryBeginFlush());
        ranges.EndFlush(flushed: true);
        Assert.Empty(Marked(ranges));
    }

    [Fact]
    public void The_next_process_finds_both_what_was_being_flushed_and_what_came_since()
    {
        using var folder = new TempFolder();
        using (var ranges = UnflushedRanges.Create(folder.File("unflushed"), Size))
        {
            ranges.Add(0, 512);
            Assert.True(ranges.TryBeginFlush());
            ranges.Add(1 << 20, 512);
        }

        using var found = UnflushedRanges.Open(folder.File("unflushed"), Size);
        Assert.Equal([(0, 4096), (1 << 20, 4096)], Marked(found));
        Assert.Equal(StorageErrorKind.Corrupt, Assert.Throws<StorageException>(() => UnflushedRanges.Open(folder.File("unflushed"), Size * 2)).Kind);
    }

    private static List<(long, long)> Marked(UnflushedRanges ranges)
    {
        using var bitmap = DirtyBitmap.InMemory(Size);
        bitmap.Clear(0, Size);
        ranges.MarkIn(bitmap);
        var runs = new List<(long, long)>();
        for (var run = bitmap.NextDirty(0); !run.IsEmpty; run = bitmap.NextDirty(run.End))
            runs.Add((run.Offset, run.Length));
        return runs;
    }

    private static async Task WriteAsync(MirrorDisk mirror, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < 60; i++)
        {
            var offset = random.Next(Size / 512 - 16) * 512L;
            if (i % 7 == 6)
                await mirror.WriteZeroesAsync(offset, 4096, WriteFlags.None, None);
            else if (i % 11 == 10)
                await mirror.FlushAsync(None);
            else
                await mirror.WriteAsync(offset, MirrorRig.Noise(i, random.Next(1, 16) * 512), WriteFlags.None, None);
        }
    }

    private static async Task UntilVerifiedAsync(MirrorDisk mirror)
    {
        for (var state = mirror.State; state != MirrorDiskState.Verified; state = await mirror.WaitWhileAsync(state, None))
            Assert.True(state != MirrorDiskState.Failed, $"the mirror failed: {mirror.Problem}");
    }

    private MirrorDisk Mirror(DirtyBitmap bitmap, UnflushedRanges unflushed, int chunksAtOnce)
    {
        var options = new MirrorOptions { FirstRetryAfter = TimeSpan.FromMilliseconds(1), ChunksAtOnce = chunksAtOnce, SynchronousBelow = 128 << 10 };
        return new MirrorDisk(_source, _target, bitmap, TimeProvider.System, options, unflushed);
    }
}
