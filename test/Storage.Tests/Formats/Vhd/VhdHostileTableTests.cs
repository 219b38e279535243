using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Tests.Repair;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Block tables with as many entries as this version reads, in files that have next to nothing else: what a check and a
/// repair take does not depend on what such a table says.</summary>
public sealed class VhdHostileTableTests
{
    private const long MaxAllocated = 64L * MiB;
    private const int Entries = VhdFormat.MaxTableLength / sizeof(uint);
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData("a hole", true)]
    [InlineData("one place", true)]
    [InlineData("past the end", true)]
    [InlineData("anywhere", false)]
    public async Task A_check_and_a_repair_are_bounded(string kind, bool repairs)
    {
        var file = await CreateAsync(kind);
        Assert.False((await BoundedAsync(() => VhdCheck.RunAsync(file.Reopen(readOnly: true), None))).IsSound);
        if (!repairs)
            return;
        await BoundedAsync<StorageException>(async () => await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file.Reopen(), readOnly: true)));
        var plan = await BoundedAsync(() => RepairRig.PlanAsync(file.Reopen(), lossy: true));
        Assert.NotEmpty(plan.Steps);
    }

    [Fact(Timeout = 120_000)]
    public async Task Every_wrong_entry_is_counted_and_of_overlaps_the_first_of_the_disk_is_the_owner()
    {
        var report = await VhdCheck.RunAsync(await CreateAsync("one place"), None);
        Assert.Equal(Entries - 1, report.Errors);
        Assert.Equal(Entries, report.AllocatedBlocks);
        var place = PlaceOfAll * 512L;
        Assert.Equal($"block 1 at {place} overlaps another block, which ends at {place + 1024}", report.Findings[0].Message);
        Assert.Equal($"block 2 at {place} overlaps another block, which ends at {place + 1024}", report.Findings[1].Message);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(5000)]
    public async Task Places_come_in_the_order_of_the_file_however_few_are_sorted_at_a_time(int limit)
    {
        var random = new Random(limit);
        var table = new byte[2000 * sizeof(uint)];
        var expected = new List<(long Sector, long Block)>();
        for (var block = 0; block < 2000; block++)
        {
            var sector = random.Next(4) switch
            {
                0 => uint.MaxValue,
                1 => (uint)random.Next(3) << 16,
                2 => (uint)random.Next(20),
                _ => (uint)random.NextInt64(uint.MaxValue),
            };
            BinaryPrimitives.WriteUInt32BigEndian(table.AsSpan(block * sizeof(uint)), sector);
            if (sector != uint.MaxValue && block % 5 != 0)
                expected.Add((sector, block));
        }

        expected.Sort();
        var file = new MemoryFile(table);
        var header = VhdDynamicHeader.Create(0, 2000, 512 << 10);
        var seen = new List<(long Sector, long Block)>();
        var order = new VhdPlaceOrder(VhdTableEntries.Of(file, header, 2000, table.Length), static (block, _) => block % 5 != 0, limit);
        await order.VisitAsync((block, place) => seen.Add((place / 512, block)), None);
        Assert.Equal(expected, seen);
    }

    private const uint PlaceOfAll = (64 << 11) + 64;

    private static async Task<T> BoundedAsync<T>(Func<ValueTask<T>> step)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var result = await step();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocated);
        return result;
    }

    /// <summary>A disk of 8 GiB in blocks of 512 bytes: a table of 64 MiB, and 1 MiB behind it.</summary>
    private static async Task<MemoryFile> CreateAsync(string kind)
    {
        const long Size = Entries * 512L;
        var file = new MemoryFile(path: "hostile.vhd");
        var footer = VhdFooter.Create(VhdKind.Dynamic, Size, Guid.NewGuid(), 1).ToBytes();
        await file.WriteAsync(0, footer, None);
        await file.WriteAsync(HeaderOffset, VhdDynamicHeader.Create(TableOffset, Entries, 512).ToBytes(), None);
        await file.WriteAsync(TableOffset + VhdFormat.MaxTableLength + MiB, footer, None);
        var random = new Random(1);
        var piece = new byte[MiB];
        for (var at = 0; at < VhdFormat.MaxTableLength && kind != "a hole"; at += piece.Length)
        {
            for (var index = 0; index < piece.Length; index += sizeof(uint))
            {
                var sector = kind switch
                {
                    "one place" => PlaceOfAll,
                    "past the end" => uint.MaxValue - 1 - (uint)((at + index) / sizeof(uint)),
                    _ => (uint)random.Next(65 << 11),
                };
                BinaryPrimitives.WriteUInt32BigEndian(piece.AsSpan(index), sector);
            }

            await file.WriteAsync(TableOffset + at, piece, None);
        }

        return file;
    }
}
