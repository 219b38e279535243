using Godwit.Storage.Bitmaps;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;
using Godwit.Testing;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

public sealed class BackgroundCopyTests
{
    private const int Size = 8 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task It_makes_both_sides_equal_and_verifies_them()
    {
        await using var rig = MirrorRig.Create(Size + 1536);
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
        var progress = rig.Copy.Progress;
        Assert.Equal(new BackgroundCopyProgress(rig.Disk.Length, rig.Disk.Length, 0, rig.Disk.Length, rig.Disk.Length), progress);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_sparse_disk_stays_sparse()
    {
        // On a real file system: 4 KiB here and there, zeroes that are allocated, a long run; 1 GiB in all.
        using var folder = new TempFolder();
        var source = LocalFile.Create(folder.File("source"));
        var target = LocalFile.Create(folder.File("target"));
        await RawDisk.CreateAsync(source, 1 << 30, None);
        await RawDisk.CreateAsync(target, 1 << 30, None);
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
            await source.WriteAsync(random.Next(1 << 18) * 4096L, MirrorRig.Noise(i, 4096), None);
        await source.WriteAsync(100 << 20, MirrorRig.Noise(9, 3 << 20), None);
        await source.WriteAsync(200 << 20, new byte[1 << 20], None);
        await using var from = RawDisk.Open(source);
        await using var to = RawDisk.Open(target);
        using var bitmap = DirtyBitmap.InMemory(from.Length);
        await using var mirror = new MirrorDisk(from, to, bitmap, TimeProvider.System);
        var copy = new BackgroundCopy(mirror, new RateLimit(null, TimeProvider.System), TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var running = copy.RunAsync(stop.Token);
        while (mirror.State != MirrorDiskState.Verified)
            await mirror.WaitWhileAsync(mirror.State, None);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.InRange(target.AllocatedBytes, 1, source.AllocatedBytes * 1.02);
        Assert.InRange(copy.Progress.Copied, 1, source.AllocatedBytes * 1.05);
        Assert.InRange(copy.Progress.Read, 1, source.AllocatedBytes * 1.05);
        Assert.InRange(copy.Progress.ToVerify, 1, source.AllocatedBytes * 1.05);
        Assert.Equal(await MirrorRig.ContentAsync(from), await MirrorRig.ContentAsync(to));
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_zero_on_the_source_but_not_on_the_target_is_zeroed()
    {
        var source = MirrorRig.Empty(Size);
        await source.WriteAsync(1 << 20, MirrorRig.Noise(1, 8192), None);
        await source.WriteAsync(3 << 20, new byte[8192], None);
        await using var rig = MirrorRig.Create(source, new MemoryFile(MirrorRig.Noise(2, Size)));
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
        Assert.Equal(8192, rig.Copy.Progress.Copied);
    }

    [Fact(Timeout = 30_000)]
    public async Task It_goes_on_from_what_the_bitmap_says()
    {
        var content = MirrorRig.Noise(1, Size);
        var bitmap = DirtyBitmap.InMemory(Size);
        bitmap.Clear(0, Size);
        bitmap.Set(1 << 20, 64 << 10);
        var target = new MemoryFile(content);
        await target.WriteAsync(1 << 20, new byte[64 << 10], None);
        await using var rig = MirrorRig.Create(new MemoryFile(content), target, bitmap);
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        await rig.AssertEqualAsync();
        Assert.Equal(64 << 10, rig.Copy.Progress.Copied);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_wrong_byte_on_the_target_is_found_and_named()
    {
        var content = MirrorRig.Noise(1, Size);
        var wrong = content.ToArray();
        wrong[(5 << 20) + 77] ^= 1;
        var bitmap = DirtyBitmap.InMemory(Size);
        bitmap.Clear(0, Size);
        await using var rig = MirrorRig.Create(new MemoryFile(content), new MemoryFile(wrong), bitmap);
        rig.Start();
        await rig.Running;
        Assert.Equal(MirrorDiskState.Failed, rig.Disk.State);
        Assert.Equal((5 << 20) + 77, rig.Disk.Problem!.Offset);
        Assert.Equal(StorageErrorKind.Corrupt, rig.Disk.Problem.Kind);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_source_that_cannot_be_read_ends_the_copy_and_names_the_place()
    {
        await using var rig = MirrorRig.Create(Size);
        rig.SourceFile.Fail(FileOperation.Read, nth: 4);
        rig.Start();
        await rig.Running;
        Assert.Equal(MirrorDiskState.Failed, rig.Disk.State);
        Assert.Equal(3 << 20, rig.Disk.Problem!.Offset);
        await rig.Disk.WriteAsync(0, new byte[4096], WriteFlags.ForceUnitAccess, None);
        await rig.Disk.FlushAsync(None);
    }

    [Fact(Timeout = 60_000)]
    public async Task It_converges_under_a_writer_that_is_faster()
    {
        // Each chunk the copier takes, the guest dirties two elsewhere: without synchronous writes it would never end.
        var options = new MirrorOptions { SynchronousBelow = 0 };
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Options = options, Chunk = 64 << 10 });
        var random = new Random(3);
        var buffer = MirrorRig.Noise(4, 128 << 10);
        rig.TargetFile.Add(new FaultRule(FileOperation.Write)
        {
            Where = (_, _) =>
            {
                if (!rig.Disk.Condition.Synchronous)
                {
                    var offset = random.Next((Size - buffer.Length) / 4096) * 4096L;
                    var ahead = (offset + (Size / 2)) % (Size - buffer.Length) / 4096 * 4096;
                    _ = rig.Disk.WriteAsync(ahead, buffer, WriteFlags.None, None).AsTask();
                }

                return false;
            },
        });
        using var stop = new CancellationTokenSource();
        var guest = Task.Run(async () =>
        {
            var places = new Random(8);
            for (var i = 0; !stop.IsCancellationRequested; i++)
                await rig.Disk.WriteAsync(places.Next(Size / 4096) * 4096L, MirrorRig.Noise(i, 4096), WriteFlags.None, None);
        });
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        Assert.True(rig.Copy.Progress.Copied > Size, "nothing was dirtied again, so this proves nothing");
        await stop.CancelAsync();
        await guest;
        Assert.Equal(MirrorDiskState.Verified, rig.Disk.State);
        await rig.AssertEqualAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task It_converges_though_the_guests_always_have_a_write_under_way()
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { Chunk = 64 << 10 });
        rig.SourceFile.Delay(FileOperation.Write, TimeSpan.FromMilliseconds(3));
        using var stop = new CancellationTokenSource();
        var guests = Enumerable.Range(0, 8).Select(guest => Task.Run(async () =>
        {
            var random = new Random(guest);
            while (!stop.IsCancellationRequested)
                await rig.Disk.WriteAsync(random.Next(Size / 4096) * 4096L, MirrorRig.Noise(guest, 4096), WriteFlags.None, None);
        })).ToArray();
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        Assert.True(rig.Bitmap.DirtyBytes > 0, "no write was under way, so this proves nothing");
        await stop.CancelAsync();
        await Task.WhenAll(guests);
        await rig.AssertEqualAsync();
    }

    [Fact(Timeout = 30_000)]
    public async Task It_stays_below_the_rate()
    {
        await using var rig = MirrorRig.Create(Size, new MirrorSetup { BytesPerSecond = 4 << 20 });
        rig.Start();
        await Task.Delay(1000, None);
        Assert.InRange(rig.Copy.Progress.Copied, 64 << 10, (long)((4 << 20) * 1.3));
        rig.Limit.PerSecond = null;
        await rig.UntilAsync(MirrorDiskState.Verified).WaitAsync(TimeSpan.FromSeconds(10), None);
    }
}
