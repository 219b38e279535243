using System.Buffers.Binary;
using CsCheck;
using Godwit.Storage.Partitions;
using Xunit;
using static Godwit.Testing.Disks.TableOfTest;

namespace Godwit.Storage.Tests.Partitions;

/// <summary>What is read from tables that are right, damaged, or made to hurt.</summary>
public sealed class PartitionTableTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public void The_checksum_is_the_one_of_the_standard() => Assert.Equal(0xCBF43926u, Crc32.Of("123456789"u8));

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task An_mbr_with_logical_partitions_is_followed(int sector)
    {
        var disk = Disk(64 * MiB, sector);
        var unit = (uint)(MiB / sector);
        await WriteMbrAsync(disk, 0, (0x07, unit, 8 * unit), (0x05, 16 * unit, 32 * unit));
        await WriteMbrAsync(disk, 16 * unit, (0x83, unit, 4 * unit), (0x05, 8 * unit, 10 * unit));
        await WriteMbrAsync(disk, 24 * unit, (0x82, unit, 9 * unit));

        var table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Mbr, table.Scheme);
        Assert.Equal(
            [(1, 1, 8, "07"), (2, 16, 32, "05"), (5, 17, 4, "83"), (6, 25, 9, "82")],
            table.Partitions.Select(one => (one.Number, (int)(one.Start / MiB), (int)(one.Length / MiB), one.Type)));
        Assert.Equal(48 * MiB, table.EndOfLastPartition);
        Assert.True(table.Last!.IsContainer);
        Assert.False(table.IsIncomplete);
        Assert.Empty(table.Problems);
        Assert.Equal("partition 1 (NTFS or exFAT)", table.Partitions[0].ToString());
    }

    [Fact]
    public async Task A_chain_of_logical_partitions_that_turns_in_a_circle_ends()
    {
        var disk = Disk(64 * MiB);
        await WriteMbrAsync(disk, 0, (0x05, 2048, 65536));
        await WriteMbrAsync(disk, 2048, (0x83, 63, 100), (0x05, 4096, 100));
        await WriteMbrAsync(disk, 6144, (0x83, 63, 100), (0x05, 0, 100));
        var table = await ReadAsync(disk);
        Assert.True(table.IsIncomplete);
        Assert.Equal(3, table.Partitions.Count);
        Assert.Contains("sector 2048", Assert.Single(table.Problems), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(512, 512)]
    [InlineData(4096, 4096)]
    [InlineData(512, 4096)]
    public async Task A_gpt_is_read_for_the_sectors_it_counts_in(int device, int sector)
    {
        var disk = Disk(64 * MiB, device);
        await WriteGptAsync(disk, sector, 0, (256, 511), (1024, 2047));
        var table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Gpt, table.Scheme);
        Assert.Equal(sector, table.SectorSize);
        Assert.Equal(2048L * sector, table.EndOfLastPartition);
        Assert.Equal("partition 2 (Linux, \"part2\")", table.Last!.ToString());
        Assert.Equal($"the GPT header at offset {sector}", table.Evidence);
        Assert.Empty(table.Problems);
        Assert.NotNull(table.Gpt!.Backup);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(16, false)]
    [InlineData(0, true)]
    public async Task The_backup_counts_when_the_primary_is_bad(int byteOfHeader, bool hasGrown)
    {
        var disk = Disk(64 * MiB);
        await WriteGptAsync(disk, 512, 0, (2048, 4095));
        if (hasGrown)
            await disk.ResizeAsync(80 * MiB, CancellationToken.None);
        await ChangeAsync(disk, 512, 512, header => header[byteOfHeader] ^= 0xff);
        var table = await ReadAsync(disk);
        Assert.Null(table.Gpt!.Primary);
        Assert.Equal(4096 * 512, table.EndOfLastPartition);
        Assert.StartsWith("the backup GPT header", table.Evidence, StringComparison.Ordinal);
        Assert.False(table.IsIncomplete);
    }

    [Fact]
    public async Task Damaged_entries_make_a_copy_bad_and_two_bad_copies_are_told()
    {
        var disk = Disk(64 * MiB);
        await WriteGptAsync(disk, 512, 0, (2048, 4095));
        await ChangeAsync(disk, 1024, 512, entries => entries[40]++);
        Assert.Null((await ReadAsync(disk)).Gpt!.Primary);
        await ChangeAsync(disk, (64 * MiB) - (33 * 512), 512, entries => entries[40]++);
        var table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Gpt, table.Scheme);
        Assert.True(table.IsIncomplete);
        Assert.Null(table.Gpt);
        Assert.Empty(table.Partitions);
    }

    [Theory]
    [InlineData(24, ulong.MaxValue)]
    [InlineData(72, ulong.MaxValue)]
    [InlineData(72, 131071UL)]
    [InlineData(80, 0xFFFFFFFF_FFFFFFFFUL)]
    [InlineData(80, 0x80_00000000UL)]
    [InlineData(80, 0x64_00000080UL)]
    [InlineData(80, 0x80_7FFFFFFFUL)]
    [InlineData(12, 0x00000000_00000010UL)]
    [InlineData(12, 0x00000000_00000400UL)]
    public async Task Impossible_fields_with_a_right_checksum_make_a_copy_bad(int field, ulong value)
    {
        var disk = Disk(64 * MiB);
        await WriteGptAsync(disk, 512, 0, (2048, 4095));
        await ChangeAsync(disk, 512, 512, header =>
        {
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(field), value);
            Seal(header);
        });
        var table = await ReadAsync(disk);
        Assert.Null(table.Gpt!.Primary);
        Assert.Equal(4096 * 512, table.EndOfLastPartition);
    }

    [Fact]
    public async Task Partitions_behind_the_end_and_impossible_ones_are_problems()
    {
        var disk = Disk(64 * MiB);
        await WriteGptAsync(disk, 512, 0, (2048, 300_000), (5000, 4000), (0, ulong.MaxValue));
        var table = await ReadAsync(disk);
        Assert.True(table.IsIncomplete);
        Assert.Equal(300_001L * 512, table.EndOfLastPartition);
        Assert.Equal(3, table.Problems.Count);
    }

    [Fact]
    public async Task Without_a_table_it_is_told_what_fills_the_disk()
    {
        Assert.Equal(PartitionScheme.None, (await ReadAsync(Disk(MiB))).Scheme);
        Assert.Equal(PartitionScheme.None, (await ReadAsync(Disk(0))).Scheme);
        foreach (var (offset, mark, bootSector) in new[]
        {
            (3, "NTFS    ", true), (82, "FAT32   ", true), (54, "FAT16   ", true), (0, "XFSB", false), (512, "LABELONE", false),
            (32769, "CD001", false), (65600, "_BHRfS_M", false),
        })
        {
            var disk = Disk(MiB);
            await ChangeAsync(disk, 0, 66048, bytes =>
            {
                System.Text.Encoding.ASCII.GetBytes(mark).CopyTo(bytes, offset);
                if (bootSector)
                    (bytes[510], bytes[511], bytes[450]) = (0x55, 0xaa, 0x20);
            });
            var table = await ReadAsync(disk);
            Assert.Equal((mark, PartitionScheme.WholeDisk), (mark, table.Scheme));
            Assert.Equal(0, table.EndOfLastPartition);
        }
    }

    [Fact]
    public async Task An_mbr_rules_where_it_does_not_protect_and_what_it_adds_to_a_gpt_counts()
    {
        var disk = Disk(64 * MiB);
        await WriteGptAsync(disk, 512, 0, (2048, 4095));
        await WriteMbrAsync(disk, 0, (0x83, 2048, 2048));
        var table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Mbr, table.Scheme);
        Assert.Contains("stands beside", Assert.Single(table.Problems), StringComparison.Ordinal);

        await WriteMbrAsync(disk, 0, (0xee, 1, 2047), (0x83, 8192, 2048));
        table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Gpt, table.Scheme);
        Assert.Equal(10240 * 512, table.EndOfLastPartition);

        await ChangeAsync(disk, 0, 512, Array.Clear);
        table = await ReadAsync(disk);
        Assert.Equal(PartitionScheme.Gpt, table.Scheme);
        Assert.Equal(4096 * 512, table.EndOfLastPartition);
    }

    [Fact(Timeout = 30_000)]
    public async Task Any_bytes_in_the_places_of_tables_are_read_without_harm()
    {
        // Random bytes under right marks, and now and then under right checksums.
        await Gen.Select(Gen.Int, Gen.Bool, Gen.Int[0, 2]).SampleAsync(
            async (seed, sealedHeader, damage) =>
            {
                var random = new Random(seed);
                var disk = Disk(MiB);
                await WriteGptAsync(disk, 512, 0, (64, 100));
                await ChangeAsync(disk, 512, 512, header =>
                {
                    for (var count = 0; count < 3; count++)
                        random.NextBytes(header.AsSpan(random.Next(12, 84), 8));
                    if (sealedHeader)
                        Seal(header);
                });
                if (damage > 0)
                    await ChangeAsync(disk, 0, 512, mbr => random.NextBytes(mbr.AsSpan(446, 16 * damage)));
                var table = await ReadAsync(disk);
                Assert.All(table.Partitions, one => Assert.True(one is { Start: >= 0, Length: > 0 } && one.End > 0));
            },
            iter: 500,
            threads: 1);
    }
}
