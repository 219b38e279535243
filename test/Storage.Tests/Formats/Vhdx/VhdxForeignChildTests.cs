using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.ForeignVhdx;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Differencing disks as Windows makes them: every state of a block, sector bitmaps anywhere in the file.</summary>
public sealed class VhdxForeignChildTests
{
    private const int BlockSize = 2 * MiB;
    private const int Size = 9 * BlockSize;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>The bitmap in front of the blocks, between them, and as the last thing of the file.</summary>
    [Theory(Timeout = 30_000)]
    [InlineData(4, 512)]
    [InlineData(11, 512)]
    [InlineData(23, 512)]
    [InlineData(23, 4096)]
    public async Task Every_state_of_a_block_reads_as_the_specification_says(int bitmapAt, int sectorSize)
    {
        var parent = Pattern(1, Size);
        var (file, expected) = await ChildAsync(bitmapAt, sectorSize, parent);
        Assert.Equal(0, (await VhdxCheck.RunAsync(file.Reopen(), None)).Errors);
        foreach (var readOnly in new[] { true, false })
        {
            await using var disk = await OpenAsync(file.Reopen(readOnly), parent, sectorSize);
            AssertSame(expected, await ReadAsync(disk, 0, Size));

            // In pieces that start and end anywhere, so that no run of bits decides alone.
            for (var at = 0; at < Size; at += 61 * sectorSize)
                AssertSame(expected[at..Math.Min(at + (61 * sectorSize), Size)], await ReadAsync(disk, at, Math.Min(61 * sectorSize, Size - at)));
        }
    }

    [Theory(Timeout = 30_000)]
    [InlineData(4, 512)]
    [InlineData(23, 4096)]
    public async Task What_is_written_over_it_is_there_and_everything_else_stays(int bitmapAt, int sectorSize)
    {
        var parent = Pattern(1, Size);
        var (file, expected) = await ChildAsync(bitmapAt, sectorSize, parent);
        var random = new Random(bitmapAt);
        for (var session = 0; session < 3; session++)
        {
            await using var disk = await OpenAsync(file.Reopen(), parent, sectorSize);
            for (var change = 0; change < 60; change++)
            {
                var length = (int)Math.Min(random.Next(1, 1 << random.Next(1, 12)) * sectorSize, Size);
                var at = random.Next((Size - length) / sectorSize) * sectorSize;
                if (change % 5 == 4)
                {
                    await disk.WriteZeroesAsync(at, length, WriteFlags.None, None);
                    expected.AsSpan(at, length).Clear();
                    continue;
                }

                random.NextBytes(expected.AsSpan(at, length));
                await disk.WriteAsync(at, expected.AsMemory(at, length), WriteFlags.None, None);
            }

            AssertSame(expected, await ReadAsync(disk, 0, Size));
        }

        Assert.Equal(0, (await VhdxCheck.RunAsync(file.Reopen(), None)).Errors);
        await using var again = await OpenAsync(file.Reopen(), parent, sectorSize);
        AssertSame(expected, await ReadAsync(again, 0, Size));
    }

    /// <summary>16 blocks of 256 MiB share a bitmap: the second chunk has its own, at the other end of the file.</summary>
    [Fact(Timeout = 30_000)]
    public async Task Each_chunk_has_the_bitmap_its_own_entry_names()
    {
        var locator = LocatorOf(("parent_linkage", Linkage), ("relative_path", "p.vhdx"));
        var image = new ForeignVhdx { Size = 6L << 30, BlockSize = 256 * MiB, Length = 600L * MiB, Locator = locator };
        image.Block(3, PartiallyPresent, 6);
        image.Block(17, PartiallyPresent, 300);
        image.Bitmap(0, FullyPresent, 580);
        image.Bitmap(1, FullyPresent, 4);

        // One sector each: sector 9 of block 3, and the last sector of block 17, which is number 524,288 * 2 - 1 of its chunk.
        image.Put((580L * MiB) + (3 * 65536) + 1, [0b10]);
        image.Put((6L * MiB) + (9 * 512), Pattern(3, 512));
        image.Put((4L * MiB) + 131071, [0x80]);
        image.Put((556L * MiB) - 512, Pattern(4, 512));
        var file = await image.BuildAsync();
        var options = new VhdxOpenOptions { Parent = new ReferenceDisk(4096) };
        await using var disk = await VhdxDisk.OpenAsync(file, options, None);
        var start = 3L * 256 * MiB;
        Assert.Equal((byte[])[.. new byte[512], .. Pattern(3, 512), .. new byte[512]], await ReadAsync(disk, start + (8 * 512), 3 * 512));
        start = 18L * 256 * MiB;
        Assert.Equal((byte[])[.. new byte[512], .. Pattern(4, 512), .. new byte[512]], await ReadAsync(disk, start - 1024, 3 * 512));
    }

    private const string Linkage = "{11111111-aaaa-bbbb-cccc-222222222222}";

    private static void AssertSame(byte[] expected, byte[] actual)
    {
        var same = expected.AsSpan().CommonPrefixLength(actual);
        Assert.True(same == expected.Length, $"differs at {same}");
    }

    private static ValueTask<VhdxDisk> OpenAsync(MemoryFile file, byte[] parent, int sectorSize)
    {
        var device = new ReferenceDisk(parent.Length, DiskCapabilities.Default with { SectorSize = sectorSize });
        device.WriteAsync(0, parent, WriteFlags.None, None).AsTask().Wait();
        return VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = device, BitmapPages = 1 }, None);
    }

    /// <summary>Blocks: the parent's, full, part, zero, unmapped with an offset, part without a bit, undefined with an offset, part
    /// with all bits, part with a single bit.</summary>
    private static async Task<(MemoryFile File, byte[] Expected)> ChildAsync(int bitmapAt, int sectorSize, byte[] parent)
    {
        var image = new ForeignVhdx
        {
            Size = Size,
            SectorSize = sectorSize,
            Length = 24 * MiB,
            Locator = LocatorOf(("parent_linkage", Linkage), ("relative_path", @".\parent.vhdx")),
        };
        var expected = (byte[])parent.Clone();
        var bits = new byte[MiB];
        Add(1, FullyPresent, 9, null);
        Add(2, PartiallyPresent, 5, sector => (sector * 7919 % 13) < 5);
        image.Block(3, Zero);
        expected.AsSpan(3 * BlockSize, BlockSize).Clear();
        image.Block(4, Unmapped, 21);
        expected.AsSpan(4 * BlockSize, BlockSize).Clear();
        Add(5, PartiallyPresent, 12, _ => false);
        image.Block(6, Undefined, 19);
        expected.AsSpan(6 * BlockSize, BlockSize).Clear();
        Add(7, PartiallyPresent, 16, _ => true);
        Add(8, PartiallyPresent, 14, sector => sector == 77);
        image.Bitmap(0, FullyPresent, bitmapAt);
        image.Put(bitmapAt * (long)MiB, bits);
        image.Put(19L * MiB, Pattern(99, 4096));
        image.Put(21L * MiB, Pattern(98, 4096));
        return (await image.BuildAsync(), expected);

        void Add(int block, int state, int mebibyte, Func<int, bool>? isOwn)
        {
            var bytes = Pattern(block + 10, BlockSize);
            image.Block(block, state, mebibyte);
            image.Put(mebibyte * (long)MiB, bytes);
            for (var sector = 0; sector < BlockSize / sectorSize; sector++)
            {
                if (isOwn is not null && !isOwn(sector))
                    continue;
                bytes.AsSpan(sector * sectorSize, sectorSize).CopyTo(expected.AsSpan((block * BlockSize) + (sector * sectorSize)));
                var bit = (block * (BlockSize / sectorSize)) + sector;
                if (isOwn is not null)
                    bits[bit / 8] |= (byte)(1 << (bit % 8));
            }
        }
    }
}
