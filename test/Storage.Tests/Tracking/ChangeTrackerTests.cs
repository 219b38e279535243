using Godwit.Storage.Bitmaps;
using Godwit.Storage.Tracking;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Tracking;

public sealed class TrackedDiskConformance : DiskConformance
{
    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var rig = new TrackingRig(size);
        for (var i = 0; i < ChangeTracker.MaxPoints; i++)
            await rig.AddAsync($"p{i}");
        return new DiskUnderTest(new Owner(rig));
    }

    /// <summary>Takes the files of the points with it.</summary>
    private sealed class Owner(TrackingRig rig) : DelegatingBlockDevice(rig.Disk)
    {
        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync();
            await rig.DisposeAsync();
        }
    }
}

public sealed class ChangeTrackerTests
{
    private const int Granule = 4096;
    private const int Size = 64 * Granule;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task Each_point_knows_the_granules_changed_since_it()
    {
        await using var rig = new TrackingRig(Size);
        await rig.Disk.WriteAsync(0, new byte[512], WriteFlags.None, None);
        var first = await rig.AddAsync("first");
        Assert.Equal(0, first.ChangedBytes(Size));
        await rig.Disk.WriteAsync((3 * Granule) - 512, new byte[1024], WriteFlags.None, None);
        var second = await rig.AddAsync("second");
        await rig.Disk.TrimAsync(10 * Granule, 2 * Granule, None);
        await rig.Disk.WriteZeroesAsync(20 * Granule, 512, WriteFlags.None, None);
        await rig.Disk.ReadAsync(40 * Granule, new byte[512], None);
        await rig.Disk.FlushAsync(None);
        Assert.Equal([(2, 4), (10, 12), (20, 21)], Runs(first));
        Assert.Equal([(10, 12), (20, 21)], Runs(second));
        Assert.Equal((5 * Granule, 3 * Granule), (first.ChangedBytes(Size), second.ChangedBytes(Size)));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_removed_point_says_that_everything_has_changed()
    {
        await using var rig = new TrackingRig(Size);
        var point = await rig.AddAsync("a");
        var other = await rig.AddAsync("b");
        await rig.RemoveAsync("a");
        await rig.Disk.WriteAsync(0, new byte[512], WriteFlags.None, None);
        Assert.Equal([(0, 64)], Runs(point));
        Assert.Equal(Size, point.ChangedBytes(Size));
        Assert.Equal([(0, 1)], Runs(other));
        Assert.Equal(["b"], rig.Tracker.Points.Select(each => each.Name));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_point_waits_for_the_write_under_way_and_marks_the_one_that_waits_for_it()
    {
        FaultyDisk held = null!;
        await using var rig = new TrackingRig(Size, content => held = new FaultyDisk(content));
        var hold = held.Rules.Hold(FileOperation.Write);
        var before = rig.Disk.WriteAsync(0, Filled(1, 512), WriteFlags.None, None).AsTask();
        var adding = rig.AddAsync("a");
        var after = rig.Disk.WriteAsync(8 * Granule, Filled(2, 512), WriteFlags.None, None).AsTask();
        Assert.False(adding.IsCompleted || before.IsCompleted || after.IsCompleted);
        hold.Release();
        await Task.WhenAll(before, adding, after);
        Assert.Equal(1, rig.Content.ToArray()[0]);
        Assert.Equal([(8, 9)], Runs(await adding));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_point_that_gives_up_waiting_leaves_nothing()
    {
        FaultyDisk held = null!;
        await using var rig = new TrackingRig(Size, content => held = new FaultyDisk(content));
        var hold = held.Rules.Hold(FileOperation.Write);
        var write = rig.Disk.WriteAsync(0, Filled(1, 512), WriteFlags.None, None).AsTask();
        using var cancel = new CancellationTokenSource();
        using var point = ChangePoint.Create("a", rig.File("a"), Size, TrackingRig.Boot);
        var adding = rig.Tracker.AddAsync(rig.Disk, point, cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => adding);
        Assert.Empty(rig.Tracker.Points);
        hold.Release();
        await write;
        await rig.Disk.ReadAsync(0, new byte[512], None);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_failed_write_is_marked_all_the_same()
    {
        FaultyDisk faulty = null!;
        await using var rig = new TrackingRig(Size, content => faulty = new FaultyDisk(content));
        var point = await rig.AddAsync("a");
        faulty.Rules.TearWrite(keep: 512);
        await Assert.ThrowsAsync<StorageException>(async () => await rig.Disk.WriteAsync(Granule, Filled(1, 2 * Granule), WriteFlags.None, None));
        Assert.Equal([(1, 3)], Runs(point));
    }

    [Fact(Timeout = 30_000)]
    public async Task Only_so_many_points_fit()
    {
        await using var rig = new TrackingRig(Size);
        for (var i = 0; i < ChangeTracker.MaxPoints; i++)
            await rig.AddAsync($"p{i}");
        await Assert.ThrowsAsync<InvalidOperationException>(() => rig.AddAsync("more"));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(Size, Size + (3 * Granule) - 512)]
    [InlineData(Size - 512, Size + 512)]
    public async Task What_comes_in_growing_has_changed(long before, long after)
    {
        await using var rig = new TrackingRig(before);
        var point = await rig.AddAsync("a");
        await rig.Disk.WriteAsync(5 * Granule, Filled(1, 512), WriteFlags.None, None);
        await rig.Disk.ResizeAsync(after, None);
        Assert.Equal([(5, 6), (before / Granule, (after + Granule - 1) / Granule)], Runs(point, after));
        await rig.Disk.WriteAsync(7 * Granule, Filled(1, 512), WriteFlags.None, None);
        using var again = ChangePoint.Open("a", rig.File("a"), after, TrackingRig.Boot, null);
        Assert.Null(again.LostBecause);
        Assert.Equal(Runs(point, after), Runs(again, after));
    }

    [Fact(Timeout = 30_000)]
    public void A_granularity_that_grows_with_the_disk_keeps_the_marks()
    {
        const long After = (16L << 30) + Granule;
        using var folder = new Testing.TempFolder();
        using var point = ChangePoint.Create("a", folder.File("a"), 1 << 20, TrackingRig.Boot);
        point.Mark(3 * Granule, 512);
        point.Grow(After);
        Assert.Null(point.LostBecause);
        Assert.Equal(2 * Granule, DirtyBitmap.GranularityFor(After));
        Assert.Equal([(2, 4), ((1 << 20) / Granule, After / Granule)], Runs(point, After));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_point_that_cannot_grow_is_lost_and_the_disk_goes_on()
    {
        await using var rig = new TrackingRig(Size);
        var point = await rig.AddAsync("a");
        Directory.Delete(rig.Folder.Path, recursive: true);
        await rig.Disk.ResizeAsync(Size + Granule, None);
        await rig.Disk.WriteAsync(Size, Filled(1, 512), WriteFlags.None, None);
        Assert.Equal([(0, 65)], Runs(point, Size + Granule));
        Assert.Contains("grew", point.LostBecause, StringComparison.Ordinal);
        using var again = ChangePoint.Open("a", rig.File("a"), Size + Granule, TrackingRig.Boot, null);
        Assert.NotNull(again.LostBecause);
    }

    internal static List<(long First, long End)> Runs(ChangePoint point, long size = Size)
    {
        var runs = new List<(long, long)>();
        long end;
        for (long at = 0; at < size; at = end)
        {
            end = point.RunEnd(at, size, out var changed);
            if (changed)
                runs.Add((at / Granule, (end + Granule - 1) / Granule));
        }

        return runs;
    }

    internal static byte[] Filled(int value, int length)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, (byte)value);
        return bytes;
    }
}
