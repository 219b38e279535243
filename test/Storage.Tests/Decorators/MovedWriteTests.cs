using System.IO.Pipes;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;
using Godwit.Storage.Tests.Tracking;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

/// <summary>A write that comes through a pipe passes by whoever has nothing to do with it, and by nobody else.</summary>
public sealed class MovedWriteTests : IDisposable
{
    private const int Size = 8 << 20;
    private const int Length = 65536;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();
    private readonly AnonymousPipeServerStream _pipe = new(PipeDirection.Out, HandleInheritability.None, Length);

    private int Out => (int)_pipe.ClientSafePipeHandle.DangerousGetHandle();

    public void Dispose()
    {
        _pipe.Dispose();
        _folder.Dispose();
    }

    [Theory(Timeout = 30_000)]
    [InlineData(ImageFormat.Raw, true)]
    [InlineData(ImageFormat.VhdFixed, true)]
    [InlineData(ImageFormat.VhdxFixed, true)]
    [InlineData(ImageFormat.VhdDynamic, false)]
    [InlineData(ImageFormat.VhdxDynamic, false)]
    public async Task A_format_takes_only_what_has_a_place_already(ImageFormat format, bool atOnce)
    {
        var path = _folder.File($"{format}");
        var blocks = format is ImageFormat.VhdxDynamic or ImageFormat.VhdDynamic ? new ImageCreateOptions { BlockSize = 2 << 20 } : null;
        await DiskImage.CreateAsync(path, format, Size, blocks, None);
        await using var disk = await DiskImage.OpenAsync(path, format, readOnly: false, None);
        if (format == ImageFormat.VhdxFixed)
            await disk.WriteAsync(Size - 512, new byte[512], WriteFlags.None, None);
        var bytes = Fill(1);
        var taken = disk.TryMoveFromPipe(512, Length, Out);
        Assert.Equal(atOnce, taken);
        if (!taken)
        {
            // Nothing has left the pipe.
            await disk.WriteAsync(512, new byte[Length], WriteFlags.None, None);
            Assert.True(disk.TryMoveFromPipe(512, Length, Out));
        }

        await disk.FlushAsync(None);
        var read = new byte[Length];
        await disk.ReadAsync(512, read, None);
        Assert.True(bytes.AsSpan().SequenceEqual(read));
        Assert.False(blocks is not null && disk.TryMoveFromPipe((2 << 20) - 512, 1024, Out));
    }

    [Fact(Timeout = 30_000)]
    public async Task An_overwrite_inside_a_snapshot_s_block_of_which_it_has_only_a_part_is_not_taken()
    {
        var (parent, child) = (_folder.File("p.vhdx"), _folder.File("c.vhdx"));
        await DiskImage.CreateAsync(parent, ImageFormat.VhdxDynamic, Size, null, None);
        await ChildImage.CreateAsync(child, parent, null, null, PathMap.Empty, None);
        await using var disk = (await DiskChain.OpenAsync(child, new ChainOptions(), None)).Device;
        await disk.WriteAsync(0, new byte[Length / 2], WriteFlags.None, None);
        Fill(1);
        Assert.False(disk.TryMoveFromPipe(0, Length, Out));
        await disk.WriteAsync(0, new byte[Length], WriteFlags.None, None);
        Assert.True(disk.TryMoveFromPipe(0, Length, Out));
    }

    [Fact]
    public async Task A_limit_holds_for_it()
    {
        var inner = new TakingDisk();
        await using var disk = new ThrottledDisk(inner, TimeProvider.System);
        Assert.True(disk.TryMoveFromPipe(0, 512, -1));
        disk.Limits = new DiskLimits(1, null);
        Assert.False(disk.TryMoveFromPipe(0, 512, -1));
        Assert.Equal(1, inner.Taken);
    }

    [Fact(Timeout = 30_000)]
    public async Task It_is_held_without_a_lease_and_refused_after_a_revocation()
    {
        var inner = new TakingDisk();
        using var fence = new Fence(TimeProvider.System);
        await using var disk = new FencedDisk(inner, fence);
        Assert.True(disk.TryMoveFromPipe(0, 512, -1));
        Assert.True(await fence.HoldAsync(None));
        Assert.False(disk.TryMoveFromPipe(0, 512, -1));
        fence.Renew(1, TimeSpan.FromHours(1));
        Assert.True(disk.TryMoveFromPipe(0, 512, -1));
        fence.Revoke("moved");
        Assert.False(disk.TryMoveFromPipe(0, 512, -1));
        Assert.Equal(2, inner.Taken);
    }

    [Fact]
    public async Task A_disk_whose_writes_are_durable_does_not_take_it()
    {
        await using var disk = new WriteThroughDisk(new TakingDisk());
        Assert.False(disk.TryMoveFromPipe(0, 512, -1));
    }

    [Fact]
    public async Task A_read_only_disk_refuses_it_in_words()
    {
        await using var disk = new ReadOnlyDisk(new TakingDisk());
        Assert.Equal(StorageErrorKind.ReadOnly, Assert.Throws<StorageException>(() => disk.TryMoveFromPipe(0, 512, -1)).Kind);
        await using var open = new TakingDisk();
        Assert.Equal(StorageErrorKind.InvalidRequest, Assert.Throws<StorageException>(() => open.TryMoveFromPipe(Size, 512, -1)).Kind);
        Assert.Equal(StorageErrorKind.InvalidRequest, Assert.Throws<StorageException>(() => open.TryMoveFromPipe(1, 512, -1)).Kind);
        Assert.True(open.TryMoveFromPipe(Size, 0, -1));
    }

    [Fact]
    public async Task It_is_counted_once_taken_or_failed_and_left_to_the_write_otherwise()
    {
        var counters = new DiskCounters();
        var inner = new TakingDisk();
        await using var disk = new MeteredDisk(inner, counters);
        Assert.True(disk.TryMoveFromPipe(0, 4096, -1));
        inner.Answer = false;
        Assert.False(disk.TryMoveFromPipe(0, 512, -1));
        inner.Answer = null;
        Assert.Throws<StorageException>(() => disk.TryMoveFromPipe(0, 512, -1));
        var writes = counters.Read(DiskOperation.Write);
        Assert.Equal((2, 4096, 1), (writes.Requests, writes.Bytes, writes.Errors));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_point_in_time_sees_it()
    {
        await using var rig = new TrackingRig(Size, content => new TakingDisk(content));
        var point = await rig.AddAsync("p");
        Assert.True(rig.Disk.TryMoveFromPipe(Length, Length, -1));
        Assert.Equal(Length, point.ChangedBytes(Size));
        Assert.Equal(Length, point.RunEnd(0, Size, out var changed));
        Assert.False(changed);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_mirror_does_not_let_it_pass()
    {
        using var bitmap = DirtyBitmap.InMemory(Size);
        var (source, target) = (new TakingDisk(), new TakingDisk());
        await using var mirror = new MirrorDisk(source, target, bitmap, TimeProvider.System);
        Assert.False(mirror.TryMoveFromPipe(0, Length, -1));
        Assert.Equal(0, source.Taken + target.Taken);
    }

    private byte[] Fill(int seed)
    {
        var bytes = new byte[Length];
        new Random(seed).NextBytes(bytes);
        _pipe.Write(bytes);
        return bytes;
    }

    /// <summary>Takes everything, nothing, or fails.</summary>
    private sealed class TakingDisk(ReferenceDisk? content = null) : DelegatingBlockDevice(content ?? new ReferenceDisk(Size))
    {
        public bool? Answer { get; set; } = true;

        public int Taken { get; private set; }

        protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
        {
            var answer = Answer ?? throw new StorageException(StorageErrorKind.NoSpace, "full");
            Taken += answer ? 1 : 0;
            return answer;
        }
    }
}
