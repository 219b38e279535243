using Godwit.Storage.Formats.Vhdx;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.LogSample;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>What one entry of a log may look like, and what a ring holds besides the entries that count.</summary>
public sealed class VhdxLogEntryTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>126 descriptors fit beside the header, then 128 in each sector.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData(126)]
    [InlineData(127)]
    [InlineData(254)]
    [InlineData(255)]
    public async Task Descriptors_go_on_in_sectors_of_their_own(int descriptors)
    {
        // Zeroes leave room in a log of 1 MiB for that many; the last one is a page.
        var changes = Enumerable.Range(0, descriptors).Select(index => index % 2 == 1 || index == descriptors - 1
            ? Change((byte)index, page: index % 200)
            : new LogChange((6 * MiB) + (index % 200 * Page), null, Page)).ToArray();
        var file = await WithLogAsync(Entry(100, 5, tail: 100, changes));
        var expected = new byte[200];
        for (var index = 0; index < descriptors; index++)
            expected[index % 200] = changes[index].Fill ?? 0;
        await using var disk = await OpenAsync(file);
        for (var page = 0; page < 200; page++)
            Assert.Equal(expected[page], (await PeekAsync(file, (6 * MiB) + (page * Page) + 77, 1))[0]);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_later_entry_wins_page_by_page_and_byte_by_byte()
    {
        var file = await WithLogAsync(
            Entry(0, 5, tail: 0, Change(0x21), Change(0x22, page: 1)),
            Entry(3, 6, tail: 0, new LogChange(6 * MiB, null, 2 * Page)),
            Entry(4, 7, tail: 0, Change(0x23, page: 1)));
        await AssertReplayedAsync(file, 0, 0x23);
    }

    /// <summary>[MS-VHDX] 2.3.3: offsets behind the end of the file extend it.</summary>
    [Fact(Timeout = 10_000)]
    public async Task Changes_behind_the_end_of_the_file_extend_it()
    {
        var changes = new[] { new LogChange(20 * MiB, null, MiB), new LogChange(30 * MiB, 0x31) };
        var file = await WithLogAsync(Entry(0, 5, tail: 0, changes) with { Last = 40 * MiB });
        var overlay = (await VhdxLogReplay.OverlayAsync(file, (await HeadersAsync(file)).Current, Guid.NewGuid(), None))!;
        Assert.Equal(40 * MiB, overlay.Length);
        var page = new byte[Page];
        await overlay.ReadAsync(30 * MiB, page, None);
        Assert.Equal(0x31, page[5]);
        await using var disk = await OpenAsync(file);
        Assert.Equal(40 * MiB, file.Length);
        Assert.Equal(page, await PeekAsync(file, 30 * MiB, Page));
    }

    /// <summary>What the ring has overwritten in part: the entries of the last round, with and without their tails.</summary>
    [Fact(Timeout = 10_000)]
    public async Task Stale_entries_behind_the_newest_one_do_not_count()
    {
        var file = await WithLogAsync(
            Entry(0, 50, tail: 0, Change(0x41)),
            Entry(2, 51, tail: 0, Change(0x42, page: 1)),
            Entry(4, 35, tail: 4, Change(0x43)),
            Entry(6, 36, tail: 4, Change(0x44, page: 1)),
            Entry(8, 37, tail: 250, Change(0x45)));
        await AssertReplayedAsync(file, 0x41, 0x42);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_gap_in_the_numbers_ends_a_sequence()
    {
        var file = await WithLogAsync(
            Entry(0, 50, tail: 0, Change(0x51)),
            Entry(2, 52, tail: 0, Change(0x52)));
        await AssertReplayedAsync(file, 0x51, 0);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_tail_that_is_inside_an_entry_and_no_entry_does_not_count()
    {
        var file = await WithLogAsync(
            Entry(0, 50, tail: 0, Change(0x61)),
            Entry(60, 60, tail: 60, Change(0x62)),
            Entry(62, 61, tail: 61, Change(0x63)));
        await AssertReplayedAsync(file, 0x61, 0);
    }

    [Fact(Timeout = 10_000)]
    public async Task The_biggest_numbers_are_compared_without_running_over()
    {
        var file = await WithLogAsync(
            Entry(0, ulong.MaxValue - 1, tail: 0, Change(0x71)),
            Entry(2, ulong.MaxValue, tail: 0, Change(0x72, page: 1)),
            Entry(4, 1, tail: 4, Change(0x73)));
        await AssertReplayedAsync(file, 0x71, 0x72);
    }

    [Theory(Timeout = 10_000)]
    [InlineData((6L * MiB) + 512, 0)]
    [InlineData((6L * MiB) + 512, Page)]
    [InlineData(6L * MiB, 512)]
    [InlineData(6L * MiB, -Page)]
    [InlineData(-Page, Page)]
    public async Task An_entry_that_breaks_the_rules_of_descriptors_does_not_count(long offset, long zeroes)
    {
        var change = new LogChange(offset, zeroes == 0 ? 0x81 : null, zeroes);
        var file = await WithLogAsync(Entry(0, 5, tail: 0, Change(0x82)), Entry(2, 6, tail: 0, change));
        await AssertReplayedAsync(file, 0x82, 0);
    }
}
