using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>What an allocation waits for, what a flush covers, and what both cost.</summary>
public sealed class VhdxWriteOrderTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_second_write_to_a_block_waits_for_the_first_ones_log_entry(bool holdTheEntry)
    {
        var crash = new CrashFile(await CreateAsync());
        var faulty = new FaultyFile(crash);
        await using var disk = await OpenAsync(faulty);
        await disk.WriteAsync(7 * MiB, Pattern(9, 512), WriteFlags.None, None);
        var rule = faulty.Add(new FaultRule(FileOperation.Write)
        {
            Holds = true,
            Where = (offset, _) => holdTheEntry ? offset is >= LogOffset and < MetadataOffset : offset >= FirstBlockOffset,
        });

        var first = disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None).AsTask();
        await rule.Reached;
        var second = disk.WriteAsync(8192, Pattern(2, 4096), WriteFlags.None, None).AsTask();
        var elsewhere = disk.WriteAsync(7 * MiB, Pattern(3, 512), WriteFlags.None, None).AsTask();
        await elsewhere;
        await disk.FlushAsync(None);
        await Task.Delay(50, None);
        Assert.False(second.IsCompleted, "acknowledged before its block is in the log: a kill now would lose it");

        // The process dies here: the held write never happens, and nothing that was acknowledged is missing.
        await using (var survivor = await OpenAsync(crash.AfterKill(crash.EventCount)))
            Assert.Equal(Pattern(3, 512), await ReadAsync(survivor, 7 * MiB, 512));

        rule.Release();
        await Task.WhenAll(first, second);
        await using (var killed = await OpenAsync(crash.AfterKill(crash.EventCount)))
            await AssertBothAsync(killed);
        await disk.FlushAsync(None);
        await using (var cut = await OpenAfterPowerCutAsync(crash.AfterPowerCut(crash.EventCount, PowerCut.FlushedOnly)))
            await AssertBothAsync(cut);

        static async Task AssertBothAsync(VhdxDisk disk)
        {
            Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
            Assert.Equal(Pattern(2, 4096), await ReadAsync(disk, 8192, 4096));
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task An_allocation_costs_no_flush_and_a_flush_costs_one()
    {
        var file = new FaultyFile(await CreateAsync(4096L * MiB));
        await using var disk = await OpenAsync(file);
        await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
        Assert.Equal(5, file.Count(FileOperation.Flush));

        for (var block = 1; block < 100; block++)
            await disk.WriteAsync(block * (long)MiB, Pattern(1, 4096), WriteFlags.None, None);
        Assert.Equal(5, file.Count(FileOperation.Flush));
        await disk.FlushAsync(None);
        Assert.Equal(6, file.Count(FileOperation.Flush));
        await disk.FlushAsync(None);
        Assert.Equal(6, file.Count(FileOperation.Flush));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(1, 12)]
    [InlineData(8, 40)]
    public async Task A_thousand_allocations_without_a_flush_need_few(int pages, int atMost)
    {
        var file = new FaultyFile(await CreateAsync(8192L * MiB));
        await using var disk = await OpenAsync(file);
        await disk.WriteAsync(8191L * MiB, Pattern(1, 4096), WriteFlags.None, None);
        var before = file.Count(FileOperation.Flush);
        for (var index = 0; index < 1000; index++)
        {
            var block = pages == 1 ? index % 500 : ((index % 8) * 512) + (index / 8);
            if (pages == 1 && index >= 500)
                await disk.TrimAsync(block * (long)MiB, MiB, None);
            else
                await disk.WriteAsync(block * (long)MiB, Pattern(1, 512), WriteFlags.None, None);
        }

        Assert.InRange(file.Count(FileOperation.Flush) - before, 1, atMost);
    }

    /// <summary>Blocks on four pages of the table: one entry of five sectors, whatever the number of blocks.</summary>
    [Fact(Timeout = 20_000)]
    public async Task Changes_of_many_blocks_are_one_entry()
    {
        var file = new CrashFile(await CreateAsync(2048L * MiB));
        await using var disk = await OpenAsync(file);
        for (var block = 0; block < 2048; block += 16)
            await disk.WriteAsync(block * (long)MiB, Pattern(1, 512), WriteFlags.None, None);
        await disk.FlushAsync(None);
        var before = file.EventCount;
        await disk.TrimAsync(0, 2048L * MiB, None);
        var entries = file.Events.Skip(before).Where(one => one.Operation == FileOperation.Write && one.Offset is >= LogOffset and < MetadataOffset);
        Assert.Equal(5 * 4096, Assert.Single(entries).Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Freed_space_is_used_again_once_two_flushes_have_passed()
    {
        var file = await CreateAsync(64 * MiB);
        await using var disk = await OpenTightAsync(file);
        for (var round = 0; round < 10; round++)
        {
            await disk.WriteAsync(0, Pattern(round, 8 * MiB), WriteFlags.None, None);
            await disk.TrimAsync(0, 8 * MiB, None);
            await disk.FlushAsync(None);
            await disk.FlushAsync(None);
        }

        Assert.Equal(FirstBlockOffset + (8 * MiB), file.Length);
        Assert.InRange(file.AllocatedBytes, 1, MiB);
    }

    /// <summary>An entry for a block behind the stable end of the file could be all that a power cut leaves of it.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData(0, 9)]
    [InlineData(4 * MiB, 2)]
    [InlineData(64 * MiB, 0)]
    public async Task The_file_grows_ahead_and_no_entry_names_a_place_that_is_not_stable_in_it(int headroom, int barriers)
    {
        var file = new FaultyFile(await CreateAsync(64 * MiB));
        await using (var disk = await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Headroom = headroom }, None))
        {
            await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
            var before = file.Count(FileOperation.Flush);
            for (var block = 1; block < 10; block++)
                await disk.WriteAsync(block * MiB, Pattern(1, 4096), WriteFlags.None, None);
            Assert.Equal(barriers, file.Count(FileOperation.Flush) - before);
            Assert.InRange(file.Length, FirstBlockOffset + (10 * MiB), FirstBlockOffset + (10 * MiB) + headroom);
        }

        Assert.Equal(FirstBlockOffset + (10 * MiB), file.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_file_system_without_room_to_grow_ahead_gives_what_is_needed()
    {
        var file = new FaultyFile(await CreateAsync(64 * MiB));
        await using var disk = await OpenAsync(file);
        file.Fail(FileOperation.SetLength, StorageErrorKind.NoSpace);
        await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
        Assert.Equal(FirstBlockOffset + MiB, file.Length);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
    }

    /// <summary>The whole place of a block that was cut at the end of the file counts once the disk has the larger size.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_larger_size_is_logged_only_when_the_place_of_a_cut_block_is_stable()
    {
        const int BlockSize = 8 * MiB;
        var image = await CreateAsync(BlockSize + MiB, BlockSize);
        await using (var disk = await OpenAsync(image.Reopen()))
            await disk.WriteAsync(0, Pattern(1, BlockSize + MiB), WriteFlags.None, None);
        await image.Reopen().SetLengthAsync(FirstBlockOffset + BlockSize + MiB, None);
        var file = new FaultyFile(image.Reopen());
        await using var again = await OpenAsync(file);
        await again.TrimAsync(0, BlockSize, None);
        await again.FlushAsync(None);
        var before = file.Count(FileOperation.Flush);
        await again.ResizeAsync(2 * BlockSize, None);
        Assert.Equal(FirstBlockOffset + (2 * BlockSize), file.Length);
        Assert.Equal(1, file.Count(FileOperation.Flush) - before);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_close_that_cannot_cut_the_file_is_a_close_all_the_same()
    {
        var left = await CreateAsync(64 * MiB);
        var file = new FaultyFile(left.Reopen());
        await using (var disk = await OpenAsync(file))
        {
            await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
            file.Fail(FileOperation.SetLength);
        }

        Assert.True(left.Length > FirstBlockOffset + MiB);
        Assert.True((await VhdxCheck.RunAsync(left.Reopen(), None)) is { Errors: 0, Warnings: 0 });
        await using var again = await OpenAsync(left.Reopen());
        Assert.Equal(Pattern(1, 4096), await ReadAsync(again, 0, 4096));
    }

    [Fact(Timeout = 20_000)]
    public async Task Space_freed_but_not_flushed_is_not_used()
    {
        var file = await CreateAsync(64 * MiB);
        await using var disk = await OpenTightAsync(file);
        await disk.WriteAsync(0, Pattern(1, MiB), WriteFlags.None, None);
        await disk.TrimAsync(0, MiB, None);
        await disk.WriteAsync(MiB, Pattern(2, MiB), WriteFlags.None, None);
        Assert.Equal(FirstBlockOffset + (2 * MiB), file.Length);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(4096)]
    [InlineData(2 * MiB)]
    public async Task A_read_that_is_overtaken_by_a_new_owner_of_the_place_reads_its_own_block(int length)
    {
        var faulty = new FaultyFile(await CreateAsync());
        await using var disk = await OpenTightAsync(faulty);
        await disk.WriteAsync(0, Pattern(1, MiB), WriteFlags.None, None);
        var rule = faulty.Add(new FaultRule(FileOperation.Read) { Holds = true, Where = (offset, _) => offset >= FirstBlockOffset });
        var bytes = new byte[length];
        var read = disk.ReadAsync(0, bytes, None).AsTask();
        await rule.Reached;

        await disk.TrimAsync(0, MiB, None);
        await disk.FlushAsync(None);
        await disk.FlushAsync(None);
        await disk.WriteAsync(5 * MiB, Pattern(2, MiB), WriteFlags.None, None);
        Assert.Equal(FirstBlockOffset + MiB, faulty.Length);
        rule.Release();
        await read;
        Assert.Equal(new byte[length], bytes);
    }

    [Fact(Timeout = 20_000)]
    public async Task Identities_change_once_per_session_and_only_with_a_change()
    {
        var file = await CreateAsync();
        await using (var disk = await OpenAsync(file))
        {
            var identity = disk.DataWriteGuid;
            await disk.TrimAsync(0, disk.Length, None);
            Assert.Equal(identity, disk.DataWriteGuid);
            await disk.WriteAsync(0, new byte[512], WriteFlags.None, None);
            Assert.NotEqual(identity, identity = disk.DataWriteGuid);
            await disk.WriteAsync(2 * MiB, new byte[512], WriteFlags.ForceUnitAccess, None);
            Assert.Equal(identity, disk.DataWriteGuid);
        }

        await using var again = await OpenAsync(file.Reopen());
        await using var third = await OpenAsync(file.Reopen());
        Assert.Equal(again.DataWriteGuid, third.DataWriteGuid);
    }

    [Fact(Timeout = 20_000)]
    public async Task Bytes_another_program_left_behind_the_end_do_not_show_up_when_the_disk_grows()
    {
        var file = await VhdxSample.CreateAsync((5 * VhdxSample.MiB) + 512);
        await using (var disk = await VhdxSample.OpenAsync(file.Reopen()))
            await disk.WriteAsync(5 * VhdxSample.MiB, VhdxSample.Pattern(1, 512), WriteFlags.None, None);
        var entry = BitConverter.ToInt64(await VhdxSample.PeekAsync(file.Reopen(), VhdxSample.BatOffset + (5 * sizeof(long)), sizeof(long)));
        await VhdxSample.PokeAsync(file.Reopen(), (entry >> 20 << 20) + 512, VhdxSample.Pattern(2, 4096));
        await using var grown = await VhdxSample.OpenAsync(file.Reopen());
        await grown.ResizeAsync(6 * VhdxSample.MiB, None);
        Assert.Equal(VhdxSample.Pattern(1, 512), await VhdxSample.ReadAsync(grown, 5 * VhdxSample.MiB, 512));
        Assert.Equal(new byte[VhdxSample.MiB - 512], await VhdxSample.ReadAsync(grown, (5 * VhdxSample.MiB) + 512, VhdxSample.MiB - 512));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disk_grows_across_a_crash_and_its_new_part_reads_as_zeroes()
    {
        var crash = new CrashFile(await CreateAsync((2 * MiB) + 512));
        await using var disk = await OpenAsync(crash);
        await disk.WriteAsync(2 * MiB, Pattern(1, 512), WriteFlags.None, None);
        await disk.ResizeAsync(2000L * MiB, None);
        await disk.WriteAsync(1999L * MiB, Pattern(2, 512), WriteFlags.None, None);
        for (var events = 0; events <= crash.EventCount; events++)
        {
            await using var killed = await OpenAsync(crash.AfterKill(events));
            Assert.Contains(killed.Length, new[] { (2 * MiB) + 512, 2000L * MiB });
        }

        await using var last = await OpenAsync(crash.AfterKill(crash.EventCount));
        Assert.Equal(2000L * MiB, last.Length);
        Assert.Equal(Pattern(2, 512), await ReadAsync(last, 1999L * MiB, 512));
        Assert.Equal(new byte[MiB - 512], await ReadAsync(last, (2 * MiB) + 512, MiB - 512));
        var refused = await Assert.ThrowsAsync<StorageException>(() => last.ResizeAsync(1L << 40, None).AsTask());
        Assert.Equal(StorageErrorKind.Unsupported, refused.Kind);
    }
}
