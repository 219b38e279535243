using CsCheck;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Copying: every byte arrives, zeroes are left out, and what ends it ends both sides.</summary>
public sealed class DiskCopyTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public void Any_mixture_of_data_zeroes_and_holes_arrives() =>
        Gen.Select(Gen.Int[0, 3].Array[1, 400], Gen.Int[0, 63], Gen.Int[0, 1].Select(large => 512 << (3 * large)), Gen.Int[0, 1200].Select(sectors => sectors * 4096)).Sample(
            (pieces, tail, sector, more) => CopyAsync(pieces, tail, sector, more).GetAwaiter().GetResult(), iter: 60, threads: 1);

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdxFixed)]
    public async Task Images_hold_the_same_and_zeroes_take_no_room(ImageFormat format)
    {
        // 40 MiB: data, written zeroes, holes; then a last piece of data.
        int[] pieces = [.. Enumerable.Repeat(2, 64), .. Enumerable.Repeat(1, 640), .. Enumerable.Repeat(0, 575), 3];
        await using var source = await OperationsRig.CreateAsync(40 << 20, pieces, Token);
        await using (var target = await OperationsRig.CreateImageAsync(_folder.File("t"), format, 40 << 20, null, Token))
            await new DiskCopy(source, target, new CopyOptions()).RunAsync(Token);
        await using (var read = await DiskImage.OpenAsync(_folder.File("t"), format, readOnly: true, Token))
            Assert.Equal(source.ToArray(), await OperationsRig.ReadAllAsync(read, Token));
        if (format != ImageFormat.VhdxFixed)
            Assert.InRange((await DiskImage.DescribeAsync(_folder.File("t"), format, Token)).AllocatedBytes, 2 << 20, 4 << 20);
    }

    [Fact(Timeout = 30_000)]
    public async Task Only_data_is_read_and_only_what_is_not_zero_is_written()
    {
        await using var source = new FaultyDisk(await OperationsRig.CreateAsync(64 << 20, [.. Enumerable.Repeat(0, 1000), 2], Token));
        await using var target = new FaultyDisk(new ReferenceDisk(64 << 20));
        await new DiskCopy(source, target, new CopyOptions()).RunAsync(Token);
        Assert.Equal(1, source.Rules.Count(FileOperation.Write) + target.Rules.Count(FileOperation.Write));
        Assert.InRange(source.Rules.Count(FileOperation.Read), 1, 64);
        Assert.Equal(1, target.Rules.Count(FileOperation.Flush));
    }

    [Fact(Timeout = 30_000)]
    public async Task Progress_counts_the_data_and_ends_at_all_of_it()
    {
        await using var source = await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 512)], Token);
        await using var target = new ReferenceDisk(32 << 20);
        var seen = new List<CopyProgress>();
        await new DiskCopy(source, target, new CopyOptions { OnProgress = seen.Add }).RunAsync(Token);
        Assert.Equal(new CopyProgress(0, 16 << 20), seen[0]);
        Assert.Equal(new CopyProgress(16 << 20, 16 << 20), seen[^1]);
        Assert.Equal(seen.Select(state => state.Done).Order(), seen.Select(state => state.Done));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_copy_goes_on_where_it_was_told_and_counts_what_was_there()
    {
        await using var source = await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 1024)], Token);
        await using var target = new FaultyDisk(new ReferenceDisk(32 << 20));
        var seen = new List<CopyProgress>();
        await new DiskCopy(source, target, new CopyOptions { From = 20 << 20, OnProgress = seen.Add }).RunAsync(Token);
        Assert.Equal(new CopyProgress(20 << 20, 32 << 20), seen[0]);
        var made = await OperationsRig.ReadAllAsync(target, Token);
        Assert.False(made.AsSpan(0, 20 << 20).ContainsAnyExcept((byte)0));
        Assert.Equal(source.ToArray()[(20 << 20)..], made[(20 << 20)..]);
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_called_stable_was_written_before_a_flush_that_has_ended()
    {
        await using var source = await OperationsRig.CreateAsync(64 << 20, [.. Enumerable.Repeat(2, 2048)], Token);
        await using var target = new FlushedDisk(new ReferenceDisk(64 << 20));
        var stable = new List<long>();
        var options = new CopyOptions
        {
            StableBytes = 8 << 20,
            OnStable = offset =>
            {
                stable.Add(offset);
                Assert.True(target.Flushed >= offset, $"{offset} was called stable with {target.Flushed} flushed");
            },
        };
        await new DiskCopy(source, target, options).RunAsync(Token);
        Assert.True(stable.Count >= 2, $"told {stable.Count} times");
        Assert.Equal(stable.Order(), stable);
        Assert.Equal(64 << 20, target.Flushed);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(FileOperation.Read)]
    [InlineData(FileOperation.GetExtent)]
    [InlineData(FileOperation.Write)]
    [InlineData(FileOperation.Flush)]
    public async Task An_error_of_either_device_ends_the_copy_as_it_is(FileOperation operation)
    {
        await using var source = new FaultyDisk(await OperationsRig.CreateAsync(64 << 20, [.. Enumerable.Repeat(2, 2048)], Token));
        await using var target = new FaultyDisk(new ReferenceDisk(64 << 20));
        var faulty = operation is FileOperation.Read or FileOperation.GetExtent ? source : target;
        faulty.Rules.Fail(operation, StorageErrorKind.NoSpace, nth: operation == FileOperation.Flush ? 1 : 7);
        var error = await Assert.ThrowsAsync<StorageException>(() => new DiskCopy(source, target, new CopyOptions()).RunAsync(Token));
        Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
        await AssertQuietAsync(source);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(FileOperation.Read)]
    [InlineData(FileOperation.Write)]
    public async Task Cancelling_ends_both_sides_even_when_one_hangs(FileOperation operation)
    {
        await using var source = new FaultyDisk(await OperationsRig.CreateAsync(64 << 20, [.. Enumerable.Repeat(2, 2048)], Token));
        await using var target = new FaultyDisk(new ReferenceDisk(64 << 20));
        var held = (operation == FileOperation.Read ? source : target).Rules.Hold(operation, nth: 3);
        using var stop = new CancellationTokenSource();
        var copying = new DiskCopy(source, target, new CopyOptions()).RunAsync(stop.Token);
        await held.Reached;
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => copying);
        await AssertQuietAsync(source);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_that_is_too_small_is_refused()
    {
        await using var source = new ReferenceDisk(8192);
        await using var target = new ReferenceDisk(4096);
        var error = Assert.Throws<StorageException>(() => new DiskCopy(source, target, new CopyOptions()));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
    }

    // Nothing reads on behind the caller's back, who may close the device now.
    private static async Task AssertQuietAsync(FaultyDisk disk)
    {
        var before = disk.Rules.Count(FileOperation.Read);
        await Task.Delay(50, Token);
        Assert.Equal(before, disk.Rules.Count(FileOperation.Read));
    }

    private static async Task CopyAsync(int[] pieces, int tail, int sector, int more)
    {
        var size = ((long)pieces.Length * OperationsRig.Unit) + ((long)tail * sector);
        await using var source = await OperationsRig.CreateAsync(size, [.. pieces, 2], Token, sector);
        await using var target = new ReferenceDisk(size + more);
        await new DiskCopy(source, target, new CopyOptions()).RunAsync(Token);
        var made = target.ToArray();
        Assert.True(source.ToArray().AsSpan().SequenceEqual(made.AsSpan(0, (int)size)));
        Assert.False(made.AsSpan((int)size).ContainsAnyExcept((byte)0));
    }

    /// <summary>Knows how many bytes from the start on had been written when the last flush that has ended began.</summary>
    private sealed class FlushedDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        private long _written;
        private long _flushed;

        public long Flushed => Volatile.Read(ref _flushed);

        protected override async ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
            Assert.Equal(Volatile.Read(ref _written), offset);
            Volatile.Write(ref _written, offset + buffer.Length);
        }

        protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
        {
            var written = Volatile.Read(ref _written);
            await Task.Delay(2, cancellationToken);
            Volatile.Write(ref _flushed, written);
        }
    }
}
