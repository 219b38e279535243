using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.LogSample;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A header that names a log in which there is nothing to replay: when that is harmless, and when it is damage.</summary>
public sealed class VhdxEmptyLogTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 10_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_log_that_was_named_and_never_written_is_opened_with_a_warning_and_untouched(bool oldEntries)
    {
        var file = await NamedOnlyAsync(oldEntries);
        var before = file.ToArray();
        var report = await VhdxCheck.RunAsync(file.Reopen(readOnly: true), None);
        Assert.Equal((0, 1), (report.Errors, report.Warnings));
        Assert.Contains("names a log that has no entry", report.Findings[0].Message, StringComparison.Ordinal);
        Assert.False((await VhdxDisk.DescribeAsync(file.Reopen(readOnly: true), None)).LogIsDirty);
        foreach (var readOnly in new[] { true, false })
        {
            await using var disk = await OpenAsync(file.Reopen(readOnly));
            Assert.Equal(new byte[Page], await ReadAsync(disk, 0, Page));
            await disk.FlushAsync(None);
        }

        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
        await using (var disk = await OpenAsync(file.Reopen()))
            await disk.WriteAsync(MiB, Pattern(1, Page), WriteFlags.None, None);
        Assert.False((await HeadersAsync(file)).Current.HasLog);
        Assert.Equal(0, (await VhdxCheck.RunAsync(file.Reopen(), None)).Warnings);
    }

    /// <summary>Whatever is lost of the first change, the old header with the name of the empty log may be what is left.</summary>
    [Fact(Timeout = 30_000)]
    public async Task The_first_change_of_such_a_file_keeps_its_promises_at_every_crash()
    {
        var file = new CrashFile(await NamedOnlyAsync(oldEntries: true));
        var written = Pattern(1, Page);
        var disk = await OpenAsync(file);
        await disk.WriteAsync(MiB, written, WriteFlags.None, None);
        var acknowledged = file.EventCount;
        await disk.FlushAsync(None);
        var flushed = file.EventCount;
        await disk.DisposeAsync();
        for (var events = 0; events <= file.EventCount; events++)
        {
            await JudgeAsync(file.AfterKill(events), mustBeThere: events >= acknowledged);
            for (var draw = 0; draw < 4; draw++)
                await JudgeAsync(file.AfterPowerCut(events, PowerCut.RandomSubset, (events * 4) + draw), mustBeThere: events >= flushed);
        }

        async Task JudgeAsync(MemoryFile image, bool mustBeThere)
        {
            Assert.Equal(0, (await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None)).Errors);
            await using var again = await OpenAsync(image);
            var bytes = await ReadAsync(again, MiB, Page);
            Assert.DoesNotContain(bytes.Zip(written), static pair => pair.First != 0 && pair.First != pair.Second);
            if (mustBeThere)
                Assert.Equal(written, bytes);
        }
    }

    /// <summary>An entry was begun, so pages may have followed it: what the log held may be nowhere else.</summary>
    [Theory(Timeout = 10_000)]
    [InlineData(2 * Page - 2)]
    [InlineData(100)]
    [InlineData(8)]
    public async Task A_log_whose_only_entry_is_damaged_is_corrupt(int damage)
    {
        var file = await WithLogAsync(Entry(3, 5, tail: 3, Change(0x11)));
        var at = LogOffset + (3 * Page) + damage;
        await PokeAsync(file, at, (byte)((await PeekAsync(file, at, 1))[0] ^ 0x40));
        var before = file.ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file.Reopen()));
        Assert.Equal((StorageErrorKind.Corrupt, LogOffset), (error.Kind, error.Offset));
        Assert.Contains("of its 1 entries none ends a valid sequence", error.Reason, StringComparison.Ordinal);
        Assert.False((await VhdxCheck.RunAsync(file.Reopen(readOnly: true), None)).IsSound);
        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
    }

    [Fact(Timeout = 10_000)]
    public async Task A_log_whose_newest_entry_lacks_its_tail_and_no_other_sequence_is_corrupt()
    {
        var file = await WithLogAsync(Entry(20, 30, tail: 6, Change(0xE1)));
        var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file));
        Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
    }

    /// <summary>The header names a log; the log is all zero or has another log's entry.</summary>
    private static Task<MemoryFile> NamedOnlyAsync(bool oldEntries) =>
        oldEntries ? WithLogAsync(Entry(0, 5, tail: 0, Change(0xF1)) with { Log = Guid.NewGuid() }) : WithLogAsync();
}
