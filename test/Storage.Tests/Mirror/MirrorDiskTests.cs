using Godwit.Storage.Bitmaps;
using Godwit.Storage.Mirror;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

public sealed class MirrorDiskTests
{
    private const int Size = 4 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly FakeTimeProvider _time = new();

    [Fact(Timeout = 30_000)]
    public async Task Before_the_end_a_write_goes_to_the_source_and_is_marked()
    {
        await using var rig = MirrorRig.Create(Size);
        rig.Bitmap.Clear(0, Size);
        await rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 512), WriteFlags.None, None);
        await rig.Disk.FlushAsync(None);
        Assert.Equal(new DirtyRange(8192, 4096), rig.Bitmap.NextDirty(0));
        Assert.Equal(0, rig.TargetFile.Count(FileOperation.Write) + rig.TargetFile.Count(FileOperation.Flush));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_range_is_marked_before_the_source_is_written()
    {
        await using var rig = MirrorRig.Create(Size);
        rig.Bitmap.Clear(0, Size);
        var held = rig.SourceFile.Hold(FileOperation.Write);
        var write = rig.Disk.WriteAsync(8192, new byte[512], WriteFlags.None, None).AsTask();
        await held.Reached;
        Assert.True(rig.Bitmap.IsDirty(8192));
        held.Release();
        await write;
    }

    [Fact(Timeout = 30_000)]
    public async Task In_sync_every_kind_of_change_reaches_both_sides_before_it_is_acknowledged()
    {
        await using var rig = await VerifiedAsync();
        var target = rig.Target;
        await rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 70_000 / 512 * 512), WriteFlags.None, None);
        await rig.Disk.WriteZeroesAsync(1 << 20, 512, WriteFlags.None, None);
        await rig.Disk.WriteZeroesAsync(2 << 20, 8192, WriteFlags.KeepAllocated, None);
        await rig.Disk.TrimAsync(3 << 20, 65_536, None);
        Assert.Equal(0, rig.Bitmap.DirtyBytes);
        Assert.Equal(await MirrorRig.ContentAsync(rig.Source), await MirrorRig.ContentAsync(target));
        Assert.Equal(MirrorDiskState.Verified, rig.Disk.State);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(WriteFlags.None)]
    [InlineData(WriteFlags.ForceUnitAccess)]
    public async Task In_sync_a_flush_reaches_both_sides(WriteFlags flags)
    {
        await using var rig = await VerifiedAsync();
        var before = (rig.SourceFile.Count(FileOperation.Flush), rig.TargetFile.Count(FileOperation.Flush));
        await rig.Disk.WriteAsync(0, new byte[512], flags, None);
        if (flags == WriteFlags.None)
            await rig.Disk.FlushAsync(None);
        Assert.Equal((before.Item1 + 1, before.Item2 + 1), (rig.SourceFile.Count(FileOperation.Flush), rig.TargetFile.Count(FileOperation.Flush)));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_trim_that_promises_nothing_leaves_both_sides_equal()
    {
        var source = new ReferenceDisk(Size, DiskCapabilities.Default with { Trim = TrimResult.Undefined });
        var target = new ReferenceDisk(Size);
        await source.WriteAsync(0, MirrorRig.Noise(1, Size), WriteFlags.None, None);
        using var bitmap = DirtyBitmap.InMemory(Size);
        await using var mirror = new MirrorDisk(source, target, bitmap, TimeProvider.System);
        Assert.Equal(TrimResult.Zeroes, mirror.Capabilities.Trim);
        await mirror.TrimAsync(0, 8192, None);
        Assert.False(source.ToArray().AsSpan(0, 8192).ContainsAnyExcept((byte)0));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(Size - 4096, 512, false)]
    [InlineData(Size, 4096, false)]
    [InlineData(Size, 512, true)]
    public void A_target_that_does_not_fit_is_refused(int size, int sector, bool readOnly)
    {
        using var bitmap = DirtyBitmap.InMemory(Size);
        var target = new ReferenceDisk(size, DiskCapabilities.Default with { SectorSize = sector, ReadOnly = readOnly });
        var refused = Assert.Throws<StorageException>(() => new MirrorDisk(new ReferenceDisk(Size), target, bitmap, TimeProvider.System));
        Assert.Equal(StorageErrorKind.InvalidRequest, refused.Kind);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_error_of_the_source_is_the_guests_and_the_range_is_repaired()
    {
        await using var rig = await VerifiedAsync();
        rig.SourceFile.TearWrite(512);
        await Assert.ThrowsAsync<StorageException>(() => rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 4096), WriteFlags.None, None).AsTask());
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
    }

    [Theory(Timeout = 30_000)]
    [InlineData(StorageErrorKind.NoSpace)]
    [InlineData(StorageErrorKind.ReadOnly)]
    [InlineData(StorageErrorKind.NotFound)]
    [InlineData(StorageErrorKind.AccessDenied)]
    [InlineData(StorageErrorKind.Closed)]
    public async Task A_target_that_is_gone_ends_the_mirror_at_once_and_the_guest_goes_on(StorageErrorKind kind)
    {
        await using var rig = await VerifiedAsync();
        rig.TargetFile.FailAlways(FileOperation.Write, kind);
        await rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 4096), WriteFlags.None, None);
        await rig.Running;
        Assert.Equal((MirrorDiskState.Failed, kind), (rig.Disk.State, rig.Disk.Problem!.Kind));
        await rig.Disk.WriteAsync(0, MirrorRig.Noise(3, 4096), WriteFlags.ForceUnitAccess, None);
        await rig.Disk.FlushAsync(None);
        Assert.True(rig.Bitmap.IsDirty(0) && rig.Bitmap.IsDirty(8192), "a mirror that goes on from this bitmap would miss a write");
    }

    [Fact(Timeout = 30_000)]
    public async Task A_full_target_ends_the_copy_and_says_why()
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Chunk = 64 << 10 });
        rig.TargetFile.LimitSpace(1 << 20);
        rig.Start();
        await rig.Running;
        Assert.Equal((MirrorDiskState.Failed, StorageErrorKind.NoSpace), (rig.Disk.State, rig.Disk.Problem!.Kind));
        await rig.Disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(FileOperation.Write)]
    [InlineData(FileOperation.Flush)]
    [InlineData(FileOperation.Read)]
    [InlineData(FileOperation.GetExtent)]
    public async Task A_target_that_fails_for_a_while_is_tried_again(FileOperation operation)
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Chunk = 256 << 10 });
        rig.TargetFile.Fail(operation, times: 2);
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        Assert.Null(rig.Disk.Problem);
        await rig.AssertEqualAsync();
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_that_goes_on_failing_is_given_up_after_the_limit()
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Time = _time });
        rig.TargetFile.FailAlways(FileOperation.Write);
        var start = _time.GetUtcNow();
        rig.Start();
        await AdvanceUntilAsync(rig.Running, TimeSpan.FromMilliseconds(100));
        Assert.Equal(MirrorDiskState.Failed, rig.Disk.State);
        Assert.InRange(_time.GetUtcNow() - start, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60));
        Assert.InRange(rig.TargetFile.Count(FileOperation.Write), 5, 30);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_failed_flush_of_the_target_makes_all_of_it_suspect()
    {
        await using var rig = await VerifiedAsync();
        var copied = rig.Copy.Progress.Copied;
        rig.TargetFile.Fail(FileOperation.Flush);
        await rig.Disk.FlushAsync(None);
        await rig.UntilAsync(MirrorDiskState.Verified);
        Assert.Equal(copied + Size, rig.Copy.Progress.Copied);
        rig.TargetFile.FailAlways(FileOperation.Flush);
        await rig.Disk.FlushAsync(None);
        await rig.Running;
        Assert.Equal(MirrorDiskState.Failed, rig.Disk.State);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_hung_write_to_the_target_delays_the_guest_only_up_to_the_limit_and_cannot_land_late()
    {
        await using var rig = await VerifiedAsync(new MirrorSetup { Time = _time });
        var held = rig.TargetFile.Hold(FileOperation.Write);
        var write = rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 4096), WriteFlags.None, None).AsTask();
        await held.Reached;
        await AdvanceUntilAsync(write, TimeSpan.FromMilliseconds(100));
        Assert.Equal(MirrorDiskState.Copying, rig.Disk.State);

        // The same place again, and elsewhere: at once, and nothing reaches the target while the first is under way.
        var writes = rig.TargetFile.Count(FileOperation.Write);
        await rig.Disk.WriteAsync(8192, MirrorRig.Noise(3, 4096), WriteFlags.None, None);
        await rig.Disk.WriteAsync(1 << 20, MirrorRig.Noise(4, 4096), WriteFlags.ForceUnitAccess, None);
        await rig.Disk.FlushAsync(None);
        _time.Advance(TimeSpan.FromSeconds(5));
        await Task.Delay(20, None);
        Assert.Equal(writes, rig.TargetFile.Count(FileOperation.Write));
        held.Release();
        var verified = rig.UntilAsync(MirrorDiskState.Verified);
        await AdvanceUntilAsync(verified, TimeSpan.FromMilliseconds(100));
        await rig.AssertEqualAsync();
    }

    [Theory(Timeout = 30_000)]
    [InlineData(FileOperation.Write)]
    [InlineData(FileOperation.GetExtent)]
    public async Task A_guest_does_not_wait_for_a_chunk_that_hangs_at_the_target(FileOperation operation)
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Time = _time });
        var held = rig.TargetFile.Hold(operation);
        rig.Start();
        await held.Reached;
        var write = rig.Disk.WriteAsync(8192, MirrorRig.Noise(2, 4096), WriteFlags.None, None).AsTask();
        Assert.False(write.IsCompleted);
        await AdvanceUntilAsync(write, TimeSpan.FromMilliseconds(100));
        Assert.NotNull(rig.Disk.Problem);
        held.Release();
        await AdvanceUntilAsync(rig.UntilAsync(MirrorDiskState.Verified), TimeSpan.FromMilliseconds(100));
        await rig.AssertEqualAsync();
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_that_never_answers_is_given_up_and_cancelling_does_not_wait_for_it()
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Time = _time });
        var held = rig.TargetFile.Hold(FileOperation.Write);
        rig.Start();
        await held.Reached;
        await AdvanceUntilAsync(rig.Running, TimeSpan.FromMilliseconds(500));
        Assert.Equal(MirrorDiskState.Failed, rig.Disk.State);

        await using var second = MirrorRig.Create(Size);
        held = second.TargetFile.Hold(FileOperation.Write);
        second.Start();
        await held.Reached;
        await second.StopAsync().WaitAsync(TimeSpan.FromSeconds(5), None);
        await second.Disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_hung_flush_of_the_target_delays_the_guest_only_up_to_the_limit()
    {
        await using var rig = await VerifiedAsync(new MirrorSetup { Time = _time });
        var held = rig.TargetFile.Hold(FileOperation.Flush);
        var flush = rig.Disk.FlushAsync(None).AsTask();
        await held.Reached;
        await AdvanceUntilAsync(flush, TimeSpan.FromMilliseconds(100));
        await rig.Disk.FlushAsync(None);
        held.Release();
        await AdvanceUntilAsync(rig.UntilAsync(MirrorDiskState.Verified), TimeSpan.FromMilliseconds(100));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_switch_to_the_target_under_load_loses_no_acknowledged_write()
    {
        for (var seed = 0; seed < 5; seed++)
        {
            await using var rig = MirrorRig.Create(Size, new MirrorSetup { Chunk = 64 << 10 });
            await using var disk = new SwitchableDisk(rig.Source);
            using var stop = new CancellationTokenSource();
            var written = new int[3];
            var guests = written.Select((_, guest) => Task.Run(() => WriteRecordsAsync(disk, guest, written, stop.Token))).ToArray();
            await disk.ReplaceAsync((_, _) => new(rig.Disk), None);
            rig.Start();
            await rig.UntilAsync(MirrorDiskState.Verified);
            await disk.ReplaceAsync(async (_, token) =>
            {
                await rig.Target.FlushAsync(token);
                await rig.AssertEqualAsync();
                return rig.Target;
            }, None);
            await UntilAllWriteAsync(written);
            await stop.CancelAsync();
            foreach (var acknowledged in await Task.WhenAll(guests))
                await CheckRecordsAsync(rig.Target, acknowledged);
        }
    }

    private static async Task UntilAllWriteAsync(int[] written)
    {
        var before = written.ToArray();
        while (written.Where((_, guest) => Volatile.Read(ref written[guest]) == before[guest]).Any())
            await Task.Delay(1, None);
    }

    private static async Task<Dictionary<long, int>> WriteRecordsAsync(BlockDevice disk, int guest, int[] written, CancellationToken stop)
    {
        var random = new Random(guest);
        var acknowledged = new Dictionary<long, int>();
        for (var i = 1; !stop.IsCancellationRequested; i++)
        {
            var offset = (random.Next(Size / 4096) * 4096L) + (guest * 1024);
            var record = new byte[1024];
            BitConverter.TryWriteBytes(record, i);
            await disk.WriteAsync(offset, record, i % 50 == 0 ? WriteFlags.ForceUnitAccess : WriteFlags.None, None);
            acknowledged[offset] = i;
            Volatile.Write(ref written[guest], i);
        }

        return acknowledged;
    }

    private static async Task CheckRecordsAsync(BlockDevice disk, Dictionary<long, int> acknowledged)
    {
        Assert.NotEmpty(acknowledged);
        var content = await MirrorRig.ContentAsync(disk);
        foreach (var (offset, number) in acknowledged)
            Assert.True(BitConverter.ToInt32(content, (int)offset) == number, $"record {number} at {offset} was lost");
    }

    private async Task<MirrorRig> VerifiedAsync(MirrorSetup? setup = null)
    {
        var rig = MirrorRig.Create(Size, setup);
        rig.Start();
        await AdvanceUntilAsync(rig.UntilAsync(MirrorDiskState.Verified), TimeSpan.FromMilliseconds(1));
        return rig;
    }

    private async Task AdvanceUntilAsync(Task task, TimeSpan step)
    {
        while (!task.IsCompleted)
        {
            _time.Advance(step);
            await Task.WhenAny(task, Task.Delay(1, None));
        }

        await task;
    }
}
