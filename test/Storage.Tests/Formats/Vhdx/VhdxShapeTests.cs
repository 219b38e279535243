using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Every block size with every sector size, of every kind.</summary>
public sealed class VhdxShapeTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 30_000)]
    [InlineData(ImageFormat.VhdxFixed, 1, 4)]
    [InlineData(ImageFormat.VhdxDynamic, 1, 256)]
    [InlineData(ImageFormat.VhdxDifferencing, 1, 256)]
    public async Task Every_block_and_sector_size_is_made_described_and_written(ImageFormat format, int smallest, int largest)
    {
        for (var blockSize = smallest * MiB; blockSize <= largest * MiB && blockSize > 0; blockSize *= 2)
        {
            foreach (var (logical, physical) in new[] { (512, 512), (512, 4096), (4096, 4096) })
                await TryAsync(format, blockSize, logical, physical);
        }
    }

    /// <summary>Zeroes are a state of the table and not bytes; trimmed is another state; neither keeps a place.</summary>
    [Fact(Timeout = 20_000)]
    public async Task Zeroed_and_trimmed_blocks_are_states_without_a_place()
    {
        var file = await CreateAsync();
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            await disk.WriteAsync(0, Pattern(1, 4 * MiB), WriteFlags.None, None);
            await disk.WriteZeroesAsync(MiB, MiB, WriteFlags.None, None);
            await disk.TrimAsync(2 * MiB, MiB, None);
        }

        var entries = await PeekAsync(file, BatOffset, 5 * 8);
        Assert.Equal([6, 2, 3, 6, 0], Enumerable.Range(0, 5).Select(block => BitConverter.ToUInt64(entries, block * 8) & 7));
        Assert.Equal([0, 0], Enumerable.Range(1, 2).Select(block => BitConverter.ToUInt64(entries, block * 8) >> 20));
    }

    private static async Task TryAsync(ImageFormat format, int blockSize, int logical, int physical)
    {
        var what = $"{format}, blocks of {blockSize}, sectors of {logical} and {physical}";
        var size = (2L * blockSize) + (3 * 4096);
        var file = new MemoryFile(path: what);
        var hasParent = format == ImageFormat.VhdxDifferencing;
        await VhdxDisk.CreateAsync(
            file,
            new VhdxCreateOptions
            {
                Size = size,
                BlockSize = blockSize,
                LogicalSectorSize = logical,
                PhysicalSectorSize = physical,
                Fixed = format == ImageFormat.VhdxFixed,
                Parent = hasParent ? SomeParent : null,
            },
            None);
        var found = await VhdxDisk.DescribeAsync(file.Reopen(), None);
        Assert.Equal(
            (format, size, blockSize, logical, physical),
            (found.Format, found.Size, found.BlockSize, found.LogicalSectorSize, found.PhysicalSectorSize));
        long[] places = [0, blockSize - logical, (2L * blockSize) - logical, size - (2 * logical)];
        await using (var disk = await OpenOverAsync(file.Reopen(), hasParent))
        {
            Assert.Equal(logical, disk.Capabilities.SectorSize);
            foreach (var place in places)
                await disk.WriteAsync(place, Pattern((int)place, 2 * logical), WriteFlags.None, None);
        }

        Assert.DoesNotContain((await VhdxCheck.RunAsync(file.Reopen(), None)).Findings, finding => finding.Severity != CheckSeverity.Information);
        await using var again = await OpenOverAsync(file.Reopen(), hasParent);
        foreach (var place in places)
            Assert.Equal(Pattern((int)place, 2 * logical), await ReadAsync(again, place, 2 * logical));
        Assert.Equal(new byte[logical], await ReadAsync(again, 2 * logical, logical));
    }

    private static ValueTask<VhdxDisk> OpenOverAsync(MemoryFile file, bool hasParent)
    {
        var parent = hasParent ? new ReferenceDisk(8192) : null;
        return VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = parent }, None);
    }
}
