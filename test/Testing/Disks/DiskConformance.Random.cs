using CsCheck;
using Godwit.Storage;
using Xunit;

namespace Godwit.Testing.Disks;

/// <content>Sequences and concurrency nobody would think of by hand, and what they may cost.</content>
public abstract partial class DiskConformance
{
    [Fact(Timeout = 120_000)]
    public async Task Any_sequence_of_requests_reads_like_an_array()
    {
        // CsCheck prints the seed and the shortest failing sequence.
        var step = Gen.Select(Gen.Enum<DiskStep>(), Gen.Int[0, 6], Gen.Int[-8, 8], Gen.Int[1, 8], Gen.Int[0, 255]);
        await step.List[1, 20].SampleAsync(RunSequenceAsync, iter: Sequences, threads: 1);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Writers_of_neighbouring_sectors_do_not_disturb_each_other(int seed)
    {
        await using var disk = await CreateAsync(Size);
        var sector = disk.Device.Capabilities.SectorSize;
        var model = NewModel();
        const int Writers = 4;
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            // Each writer owns every fourth sector, so all share every block and every page; mostly the same few pages.
            var random = new Random((seed * 10) + writer);
            for (var round = 0; round < 250; round++)
            {
                var number = (random.Next(3) * ((1 << 20) / sector)) + (random.Next(round % 4 == 0 ? 60 : 4) * Writers) + writer;
                var offset = Math.Min(number, (Size / sector / Writers * Writers) - Writers + writer) * sector;
                if (random.Next(5) == 0)
                {
                    await disk.Device.WriteZeroesAsync(offset, sector, WriteFlags.None, None);
                    Array.Clear(model, (int)offset, sector);
                }
                else
                {
                    await WriteBothAsync(disk.Device, model, offset, sector, random.Next(), WriteFlags.None);
                }

                if (random.Next(50) == 0)
                    await disk.Device.FlushAsync(None);
            }
        })));
        await AssertContentAsync(disk.Device, model);
        await CheckExtentsAsync(disk.Device, model);
        if (!disk.CanReopen)
            return;
        await disk.ReopenAsync();
        await AssertContentAsync(disk.Device, model);
    }

    [Fact(Timeout = 60_000)]
    public async Task Overlapping_writes_leave_each_sector_whole()
    {
        await using var disk = await CreateAsync(Size);
        const int Length = 64 << 10;
        await Task.WhenAll(Enumerable.Range(1, 4).Select(writer => Task.Run(async () =>
        {
            var bytes = new byte[Length];
            Array.Fill(bytes, (byte)writer);
            for (var round = 0; round < 60; round++)
                await disk.Device.WriteAsync((1 << 20) - (Length / 2), bytes, WriteFlags.None, None);
        })));
        var all = await AllAsync(disk.Device);
        for (var at = (1 << 20) - (Length / 2); at < (1 << 20) + (Length / 2); at += 512)
        {
            Assert.InRange(all[at], 1, 4);
            Assert.False(all.AsSpan(at, 512).ContainsAnyExcept(all[at]), $"the sector at {at} is torn");
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Reads_and_overwrites_of_allocated_ranges_allocate_nothing()
    {
        Assert.SkipWhen(AllocatesBecause is not null, AllocatesBecause ?? "");
        await using var disk = await CreateAsync(Size);
        var buffer = Bytes(1, 4096);
        for (var at = 0; at < 1 << 20; at += buffer.Length)
            await disk.Device.WriteAsync(at, buffer, WriteFlags.None, None);
        await disk.Device.FlushAsync(None);
        var allocated = Allocations.InSteadyState(() => ReadAndOverwrite(disk.Device, buffer, 10_000));
        Assert.SkipWhen(
            allocated > 0 && Allocations.IsDebugBuild(disk.Device),
            $"{allocated} bytes, but this is a debug build, where every async method allocates; a release build must show 0");
        Assert.Equal(0, allocated);
    }

    private static void ReadAndOverwrite(BlockDevice device, byte[] buffer, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var offset = i % 256 * 4096;
            var request = i % 2 == 0 ? device.ReadAsync(offset, buffer, None) : device.WriteAsync(offset, buffer, WriteFlags.None, None);
            Assert.True(request.IsCompletedSuccessfully, "the request did not complete synchronously");
        }
    }

    private async Task RunSequenceAsync(List<(DiskStep Step, int Block, int Shift, int Pieces, int Seed)> steps)
    {
        await using var disk = await CreateAsync(Size);
        var model = NewModel();
        var sector = disk.Device.Capabilities.SectorSize;
        foreach (var (step, block, shift, pieces, seed) in steps)
        {
            // Around the borders of 1 MiB blocks; short runs, and long ones over several blocks.
            var offset = Math.Clamp((block * (1L << 20)) + (shift * sector), 0, Size - sector);
            var length = (int)Math.Min(pieces * (seed % 3 == 0 ? 400 : 3) * (long)sector, Size - offset);
            await RunStepAsync(disk, model, step, offset, length, seed);
        }

        await AssertContentAsync(disk.Device, model);
        await CheckExtentsAsync(disk.Device, model);
    }

    private static async Task RunStepAsync(DiskUnderTest disk, byte[] model, DiskStep step, long offset, int length, int seed)
    {
        switch (step)
        {
            case DiskStep.Write or DiskStep.ForcedWrite:
                var flags = step == DiskStep.ForcedWrite ? WriteFlags.ForceUnitAccess : WriteFlags.None;
                await WriteBothAsync(disk.Device, model, offset, length, seed, flags);
                break;
            case DiskStep.Zero or DiskStep.ZeroKeepingSpace:
                var zeroing = step == DiskStep.ZeroKeepingSpace ? WriteFlags.KeepAllocated : WriteFlags.None;
                await disk.Device.WriteZeroesAsync(offset, length, zeroing, None);
                Array.Clear(model, (int)offset, length);
                break;
            case DiskStep.Trim:
                await disk.Device.TrimAsync(offset, length, None);
                await TrimModelAsync(disk.Device, model, offset, length);
                break;
            case DiskStep.Read:
                var bytes = new byte[length];
                await disk.Device.ReadAsync(offset, bytes, None);
                AssertSame(model.AsSpan((int)offset, length), bytes);
                break;
            case DiskStep.Flush:
                await disk.Device.FlushAsync(None);
                break;
            case DiskStep.Reopen when disk.CanReopen:
                await disk.ReopenAsync();
                break;
        }
    }

    private enum DiskStep
    {
        Write,
        ForcedWrite,
        Zero,
        ZeroKeepingSpace,
        Trim,
        Read,
        Flush,
        Reopen,
    }
}
