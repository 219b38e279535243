using Godwit.Storage;
using Xunit;

namespace Godwit.Testing.Disks;

/// <summary>
/// What every block device must do. Derive one test class per device and say how it is made; the rest is inherited.
/// </summary>
public abstract partial class DiskConformance
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Logical sector size of the devices, in bytes.</summary>
    protected virtual int SectorSize => 512;

    /// <summary>A size that is no multiple of any block size, so that the last block is a partial one.</summary>
    protected virtual long Size => (5 << 20) + (3 * SectorSize);

    /// <summary>How many random sequences to run; fewer for slow devices.</summary>
    protected virtual int Sequences => 40;

    /// <summary>Why reads and overwrites of this device may allocate or complete later; null when they must not.</summary>
    protected virtual string? AllocatesBecause => null;

    /// <summary>What a new disk holds; zeroes unless it has a parent. No longer than <see cref="Size"/>, zeroes behind.</summary>
    protected virtual ReadOnlySpan<byte> InitialContent => default;

    /// <summary>Makes a new writable disk that holds <see cref="InitialContent"/>.</summary>
    /// <param name="size">Bytes; whole 4 KiB or not, always whole sectors.</param>
    protected abstract ValueTask<DiskUnderTest> CreateAsync(long size);

    [Fact(Timeout = 30_000)]
    public async Task A_new_disk_has_its_size_and_its_first_content()
    {
        await using var disk = await CreateAsync(Size);
        Assert.Equal(Size, disk.Device.Length);
        Assert.Equal(SectorSize, disk.Device.Capabilities.SectorSize);
        await AssertContentAsync(disk.Device, NewModel());
        await CheckExtentsAsync(disk.Device, NewModel());
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_written_at_the_edges_is_read_back_and_nothing_else_changes()
    {
        await using var disk = await CreateAsync(Size);
        var sector = disk.Device.Capabilities.SectorSize;
        var model = NewModel();
        long[] places = [0, sector, (1 << 20) - sector, 1 << 20, (2 << 20) - sector, Size - (2 * sector), Size - sector];
        foreach (var place in places)
            await WriteBothAsync(disk.Device, model, place, (int)Math.Min(2 * sector, Size - place), (int)place, WriteFlags.None);
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 30_000)]
    public async Task One_request_may_cover_the_whole_disk()
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        await WriteBothAsync(disk.Device, model, 0, model.Length, 1, WriteFlags.None);
        var read = new byte[Size];
        await disk.Device.ReadAsync(0, read, None);
        AssertSame(model, read);
    }

    [Fact(Timeout = 30_000)]
    public async Task Requests_outside_the_disk_or_not_on_sectors_are_invalid()
    {
        await using var disk = await CreateAsync(Size);
        var sector = disk.Device.Capabilities.SectorSize;
        (long Offset, int Length)[] bad =
        [
            (Size, sector), (Size - sector, 2 * sector), (-sector, sector), (long.MaxValue - sector + 1, sector), (long.MinValue, sector),
            (1, sector), (0, sector - 1), (sector / 2, sector), (0, 1), (Size + sector, 0),
        ];
        foreach (var (offset, length) in bad)
        {
            foreach (var request in Requests(disk.Device, offset, length))
                Assert.Equal(StorageErrorKind.InvalidRequest, (await Assert.ThrowsAsync<StorageException>(request)).Kind);
        }

        await AssertContentAsync(disk.Device, NewModel());
    }

    [Fact(Timeout = 30_000)]
    public async Task Empty_requests_do_nothing_even_at_the_end()
    {
        await using var disk = await CreateAsync(Size);
        foreach (var offset in new[] { 0, Size })
        {
            await disk.Device.ReadAsync(offset, Memory<byte>.Empty, None);
            await disk.Device.WriteAsync(offset, ReadOnlyMemory<byte>.Empty, WriteFlags.ForceUnitAccess, None);
            await disk.Device.TrimAsync(offset, 0, None);
            await disk.Device.WriteZeroesAsync(offset, 0, WriteFlags.KeepAllocated, None);
            var error = await Assert.ThrowsAsync<StorageException>(async () => await disk.Device.GetExtentAsync(offset, 0, None));
            Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_reader_is_refused_every_change_and_still_reads()
    {
        await using var disk = await CreateAsync(Size);
        Assert.SkipUnless(disk.CanReopen, "this device cannot be opened again");
        var model = NewModel();
        await WriteBothAsync(disk.Device, model, 0, 8192, 1, WriteFlags.None);
        await disk.ReopenAsync(readOnly: true);
        Assert.True(disk.Device.Capabilities.ReadOnly);
        Func<Task>[] changes =
        [
            () => disk.Device.WriteAsync(0, new byte[4096], WriteFlags.None, None).AsTask(),
            () => disk.Device.TrimAsync(0, 4096, None).AsTask(),
            () => disk.Device.WriteZeroesAsync(0, 4096, WriteFlags.None, None).AsTask(),
            () => disk.Device.ResizeAsync(Size, None).AsTask(),
        ];
        foreach (var change in changes)
            Assert.Equal(StorageErrorKind.ReadOnly, (await Assert.ThrowsAsync<StorageException>(change)).Kind);
        await disk.Device.FlushAsync(None);
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 30_000)]
    public async Task Everything_is_there_after_closing_and_opening_again()
    {
        await using var disk = await CreateAsync(Size);
        Assert.SkipUnless(disk.CanReopen, "this device cannot be opened again");
        var model = NewModel();
        for (var place = 0; place + 70_000 < Size; place += 700_416)
            await WriteBothAsync(disk.Device, model, place, 69_632, place + 1, WriteFlags.None);
        await disk.ReopenAsync();
        Assert.Equal(Size, disk.Device.Length);
        await AssertContentAsync(disk.Device, model);
        await WriteBothAsync(disk.Device, model, 4096, 4096, 99, WriteFlags.None);
        await disk.ReopenAsync();
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_that_can_grow_reads_zeroes_in_the_new_part_and_never_shrinks()
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        await WriteBothAsync(disk.Device, model, Size - 4096, 4096, 1, WriteFlags.None);
        if (!disk.Device.Capabilities.CanResize)
        {
            var refused = await Assert.ThrowsAsync<StorageException>(() => disk.Device.ResizeAsync(Size + 4096, None).AsTask());
            Assert.Equal(StorageErrorKind.Unsupported, refused.Kind);
            return;
        }

        await disk.Device.ResizeAsync(Size + (1 << 20), None);
        Array.Resize(ref model, (int)disk.Device.Length);
        Assert.Equal(Size + (1 << 20), model.Length);
        await WriteBothAsync(disk.Device, model, model.Length - 4096, 4096, 2, WriteFlags.None);
        await AssertContentAsync(disk.Device, model);
        foreach (var size in new[] { Size, model.Length + 1L })
        {
            var error = await Assert.ThrowsAsync<StorageException>(() => disk.Device.ResizeAsync(size, None).AsTask());
            Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Disposing_twice_has_no_effect()
    {
        var disk = await CreateAsync(Size);
        await disk.Device.DisposeAsync();
        await disk.Device.DisposeAsync();
    }

    private static Func<Task>[] Requests(BlockDevice device, long offset, int length) =>
    [
        () => device.ReadAsync(offset, new byte[length], None).AsTask(),
        () => device.WriteAsync(offset, new byte[length], WriteFlags.None, None).AsTask(),
        () => device.TrimAsync(offset, length, None).AsTask(),
        () => device.WriteZeroesAsync(offset, length, WriteFlags.None, None).AsTask(),
        async () => await device.GetExtentAsync(offset, length, None),
    ];
}
