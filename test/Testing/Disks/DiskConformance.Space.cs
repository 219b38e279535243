using Godwit.Storage;
using Xunit;

namespace Godwit.Testing.Disks;

/// <content>Trim, zeroing, extents, flush.</content>
public abstract partial class DiskConformance
{
    [Theory(Timeout = 30_000)]
    [InlineData(WriteFlags.None)]
    [InlineData(WriteFlags.KeepAllocated)]
    [InlineData(WriteFlags.ForceUnitAccess)]
    [InlineData(WriteFlags.KeepAllocated | WriteFlags.ForceUnitAccess)]
    public async Task Zeroed_ranges_read_as_zeroes_and_their_neighbours_stay(WriteFlags flags)
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        await WriteBothAsync(disk.Device, model, 0, model.Length, 1, WriteFlags.None);
        foreach (var (offset, length) in Ranges(disk.Device))
        {
            await disk.Device.WriteZeroesAsync(offset, length, flags, None);
            Array.Clear(model, (int)offset, (int)length);
            await AssertContentAsync(disk.Device, model);
        }

        await CheckExtentsAsync(disk.Device, model);
        await WriteBothAsync(disk.Device, model, 1 << 20, 8192, 2, flags & WriteFlags.ForceUnitAccess);
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 30_000)]
    public async Task Trimmed_ranges_read_as_promised_and_their_neighbours_stay()
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        await WriteBothAsync(disk.Device, model, 0, model.Length, 1, WriteFlags.None);
        foreach (var (offset, length) in Ranges(disk.Device))
        {
            await disk.Device.TrimAsync(offset, length, None);
            await TrimModelAsync(disk.Device, model, offset, (int)length);
            await AssertContentAsync(disk.Device, model);
        }

        await CheckExtentsAsync(disk.Device, model);
        await WriteBothAsync(disk.Device, model, 1 << 20, 8192, 2, WriteFlags.None);
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 30_000)]
    public async Task Extents_are_cut_to_what_was_asked()
    {
        await using var disk = await CreateAsync(Size);
        await disk.Device.WriteAsync(1 << 20, Bytes(1, 1 << 20), WriteFlags.None, None);
        var sector = disk.Device.Capabilities.SectorSize;
        foreach (var offset in new[] { 0, 1 << 20, Size - sector })
        {
            var extent = await disk.Device.GetExtentAsync(offset, sector, None);
            Assert.Equal((offset, sector), (extent.Offset, extent.Length));
        }

        Assert.Equal(ExtentKind.Data, (await disk.Device.GetExtentAsync(1 << 20, sector, None)).Kind);
        await CheckExtentsAsync(disk.Device, await AllAsync(disk.Device));
    }

    [Fact(Timeout = 30_000)]
    public async Task Flushes_and_forced_writes_complete_among_other_requests()
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        await disk.Device.FlushAsync(None);
        var flushes = new List<Task>();
        for (var i = 0; i < 20; i++)
        {
            await WriteBothAsync(disk.Device, model, i * 65_536, 8192, i, i % 2 == 0 ? WriteFlags.ForceUnitAccess : WriteFlags.None);
            flushes.Add(disk.Device.FlushAsync(None).AsTask());
        }

        await Task.WhenAll(flushes);
        await AssertContentAsync(disk.Device, model);
    }

    /// <summary>Applies a finished trim to the model as the device's capability says.</summary>
    private static async Task TrimModelAsync(BlockDevice device, byte[] model, long offset, int length)
    {
        if (device.Capabilities.Trim == TrimResult.Zeroes)
        {
            Array.Clear(model, (int)offset, length);
        }
        else if (device.Capabilities.Trim == TrimResult.Undefined)
        {
            // Undefined once: from now on it has to stay what it was first read as.
            await device.ReadAsync(offset, model.AsMemory((int)offset, length), None);
        }
    }

    /// <summary>One sector, a run inside a block, across blocks, whole blocks, the partial last block.</summary>
    private (long Offset, long Length)[] Ranges(BlockDevice device)
    {
        var sector = device.Capabilities.SectorSize;
        return
        [
            (sector, sector), (64 << 10, 256 << 10), ((1 << 20) - (8 * sector), 16 * sector), (1 << 20, 1 << 20),
            ((2 << 20) - sector, (2 << 20) + (2 * sector)), (Size - (5 * sector), 5 * sector), (0, Size),
        ];
    }
}
