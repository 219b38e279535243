using Godwit.Storage.Formats.Vhdx;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.LogSample;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Which entries of a log are replayed, and that nothing else is.</summary>
public sealed class VhdxLogTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 10_000)]
    public async Task A_killed_disk_is_replayed_once_and_read_only_openings_see_the_same_without_writing()
    {
        var file = await CreateDirtyAsync();
        var before = file.ToArray();
        await using (var reader = await OpenAsync(file.Reopen(readOnly: true)))
            await AssertContentAsync(reader);
        await using (var reader = await OpenAsync(file.Reopen(), readOnly: true))
            await AssertContentAsync(reader);
        Assert.True((await VhdxCheck.RunAsync(file, None)).IsSound);
        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));

        await using (var disk = await OpenAsync(file.Reopen()))
            await AssertContentAsync(disk);
        var header = VhdxHeader.TryParse(await PeekAsync(file, 64 << 10, Page), out _)!;
        Assert.Equal(Guid.Empty, header.LogGuid);
        await using var again = await OpenAsync(file.Reopen());
        await AssertContentAsync(again);

        static async Task AssertContentAsync(VhdxDisk disk)
        {
            Assert.Equal(Pattern(1, 8192), await ReadAsync(disk, 0, 8192));
            Assert.Equal(new byte[8192], await ReadAsync(disk, 5 * MiB, 8192));
        }
    }

    [Fact(Timeout = 10_000)]
    public async Task Entries_are_replayed_in_order_from_the_newest_ones_tail()
    {
        var file = await WithLogAsync(
            Entry(0, 5, tail: 0, Change(0xA1)),
            Entry(2, 6, tail: 2, Change(0xA2)),
            Entry(4, 7, tail: 2, Change(0xA3, page: 1)));
        await AssertReplayedAsync(file, 0xA2, 0xA3);
    }

    [Fact(Timeout = 10_000)]
    public async Task The_newest_complete_sequence_wins_over_older_ones_wherever_it_stands()
    {
        var file = await WithLogAsync(
            Entry(100, 40, tail: 100, Change(0xB1)),
            Entry(102, 41, tail: 100, Change(0xB2, page: 1)),
            Entry(10, 3, tail: 10, Change(0xB3)),
            Entry(200, 7, tail: 200, Change(0xB4)));
        await AssertReplayedAsync(file, 0xB1, 0xB2);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_sequence_may_run_around_the_end_of_the_log_and_so_may_one_entry()
    {
        var file = await WithLogAsync(
            Entry(253, 8, tail: 253, Change(0xC1)),
            Entry(255, 9, tail: 253, Change(0xC2, page: 1)),
            Entry(1, 10, tail: 253, Change(0xC3)));
        await AssertReplayedAsync(file, 0xC3, 0xC2);
    }

    [Theory(Timeout = 10_000)]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(Page + 2000)]
    [InlineData((2 * Page) - 2)]
    public async Task A_damaged_newest_entry_does_not_count(int damage)
    {
        var file = await WithLogAsync(Entry(0, 5, tail: 0, Change(0xD1)), Entry(2, 6, tail: 0, Change(0xD2)));
        var at = LogOffset + (2 * Page) + damage;
        var old = await PeekAsync(file, at, 1);
        await PokeAsync(file, at, (byte)(old[0] ^ 0x10));
        await AssertReplayedAsync(file, 0xD1, 0);
    }

    [Fact(Timeout = 10_000)]
    public async Task An_entry_whose_tail_is_gone_does_not_count()
    {
        var file = await WithLogAsync(Entry(20, 30, tail: 6, Change(0xE1)), Entry(50, 12, tail: 50, Change(0xE2)));
        await AssertReplayedAsync(file, 0xE2, 0);
    }

    [Fact(Timeout = 10_000)]
    public async Task Entries_of_another_log_do_not_count()
    {
        var other = Entry(2, 6, tail: 0, Change(0xF2));
        var file = await WithLogAsync(Entry(0, 5, tail: 0, Change(0xF1)), other with { Log = Guid.NewGuid() });
        await AssertReplayedAsync(file, 0xF1, 0);
    }

    [Fact(Timeout = 10_000)]
    public async Task Zero_ranges_and_entries_without_changes_are_replayed()
    {
        var file = await WithLogAsync(
            Entry(0, 5, tail: 0, Change(0x91), Change(0x92, page: 1)),
            Entry(3, 6, tail: 0),
            Entry(4, 7, tail: 0, new LogChange(6 * MiB, null, Page)));
        await AssertReplayedAsync(file, 0, 0x92);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_file_cut_behind_the_logs_back_is_refused_and_a_short_one_grows()
    {
        var cut = await WithLogAsync(Entry(0, 5, tail: 0, Change(0x81)) with { Flushed = 9 * MiB });
        var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(cut));
        Assert.Contains("the file was cut", error.Message, StringComparison.Ordinal);

        var grown = await WithLogAsync(Entry(0, 5, tail: 0, Change(0x82)) with { Last = 12 * MiB });
        await using var disk = await OpenAsync(grown);
        Assert.Equal(12 * MiB, grown.Length);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_log_that_would_write_the_headers_or_itself_is_refused_untouched()
    {
        foreach (var target in new long[] { 0, 64 << 10, LogOffset, LogOffset + LogLength - Page, 1L << 60 })
        {
            var file = await WithLogAsync(Entry(0, 5, tail: 0, new LogChange(target, 0x71)));
            var before = file.ToArray();
            var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file));
            Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
            Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
        }
    }
}
