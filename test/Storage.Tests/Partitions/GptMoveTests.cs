using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Partitions;
using Godwit.Storage.Tests.Operations;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Testing.Disks.TableOfTest;

namespace Godwit.Storage.Tests.Partitions;

/// <summary>The backup of a GPT on its way to a new end: cut off after any event, the same partitions are there.</summary>
public sealed class GptMoveTests
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData(512, 3 * MiB, false)]
    [InlineData(4096, 3 * MiB, false)]
    [InlineData(512, 3 * MiB, true)]
    [InlineData(512, (4 * MiB) - 4096, true)]
    public async Task A_move_that_is_cut_off_leaves_a_table_with_all_partitions(int sector, int length, bool primaryIsDamaged)
    {
        var start = new MemoryFile(path: "gpt.raw");
        await start.SetLengthAsync(4 * MiB, None);
        await using (var disk = RawDisk.Open(start.Reopen()))
        {
            await WriteGptAsync(disk, sector, 0, (64, 100), (128, 200));
            if (primaryIsDamaged)
                await ChangeAsync(disk, sector, 512, header => header[20] ^= 0xff);
        }

        var file = new CrashFile(start.Reopen());
        await using (var disk = RawDisk.Open(file))
        {
            var table = await ReadAsync(disk);
            await GptMove.RunAsync(disk, table.Gpt!, length, None);
        }

        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var (image, what) in ResizeSample.ImagesAfter(file, events))
            {
                await AssertSameAsync(image, sector, what);
                await using (var disk = RawDisk.Open(image.Reopen()))
                    await GptMove.RunAsync(disk, (await ReadAsync(disk)).Gpt!, length, None);
                await image.Reopen().SetLengthAsync(length, None);
                var table = await AssertSameAsync(image, sector, $"{what}, finished");
                Assert.Empty(table.Problems);
                Assert.Equal((ulong)(length / sector) - 1, table.Gpt!.Primary!.AlternateLba);
                Assert.Equal((length / sector) - 1, table.Gpt.Backup!.MyLba);
                Assert.Equal((ulong)((length / sector) - 2 - (16384 / sector)), table.Gpt.Primary.LastUsable);
            }
        }
    }

    [Fact]
    public async Task The_protective_mbr_covers_the_smaller_disk()
    {
        var disk = Disk(4 * MiB);
        await WriteGptAsync(disk, 512, 0, (64, 100));
        await GptMove.RunAsync(disk, (await ReadAsync(disk)).Gpt!, 2 * MiB, None);
        var mbr = new MbrSector(await SectorReader.ReadAsync(disk, 0, 512, None));
        Assert.Equal(new MbrEntry(0, 0xee, 1, 4095), mbr.Entries[0]);
    }

    private static async Task<PartitionTable> AssertSameAsync(MemoryFile image, int sector, string what)
    {
        await using var disk = RawDisk.Open(image.Reopen(readOnly: true));
        var table = await ReadAsync(disk);
        Assert.True(table.Scheme == PartitionScheme.Gpt && !table.IsIncomplete, what);
        Assert.Equal([(64L, 100L), (128L, 200L)], table.Partitions.Select(one => (one.Start / sector, (one.End / sector) - 1)));
        return table;
    }
}
