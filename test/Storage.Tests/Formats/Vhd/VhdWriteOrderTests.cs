using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>What an allocation waits for, what a flush covers, and what both cost.</summary>
public sealed class VhdWriteOrderTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 20_000)]
    public async Task New_blocks_share_one_flush_per_headroom()
    {
        var file = new FaultyFile(await CreateAsync(4096L * MiB, blockSize: 2 * MiB));
        await using var disk = await OpenAsync(file, headroom: 64 * MiB);
        for (var block = 0; block < 31; block++)
            await disk.WriteAsync(block * 2L * MiB, Pattern(1, 4096), WriteFlags.None, None);
        Assert.Equal(1, file.Count(FileOperation.Flush));
        await disk.FlushAsync(None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
        await disk.FlushAsync(None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
        await disk.WriteAsync(0, Pattern(2, 4096), WriteFlags.None, None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
    }

    [Fact(Timeout = 20_000)]
    public async Task First_writes_to_a_child_flush_and_overwrites_do_not()
    {
        var file = new FaultyFile(await CreateChildAsync());
        await using var disk = await OpenAsync(file, parent: ParentOf(Pattern(1, 8 * MiB)), headroom: 8 * MiB);
        await disk.WriteAsync(0, Pattern(2, 8192), WriteFlags.None, None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
        for (var round = 0; round < 10; round++)
            await disk.WriteAsync(4096, Pattern(round, 4096), WriteFlags.None, None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
        await disk.WriteAsync(8192, Pattern(3, 512), WriteFlags.None, None);
        Assert.Equal(3, file.Count(FileOperation.Flush));

        // Zeroes in a new place are there already.
        await disk.TrimAsync(4 * MiB, MiB, None);
        Assert.Equal(3, file.Count(FileOperation.Flush));
        Assert.Equal(new byte[MiB], await ReadAsync(disk, 4 * MiB, MiB));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_closed_file_has_no_headroom_and_freed_places_are_used_again()
    {
        var file = await CreateAsync(64L * MiB, blockSize: 2 * MiB);
        var empty = file.Length;
        await using (var disk = await OpenAsync(file.Reopen(), headroom: 64 * MiB))
            await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
        Assert.InRange(file.Length, empty + (2 * MiB), empty + (2 * MiB) + 8192);

        await using (var disk = await OpenAsync(file.Reopen(), headroom: 1))
        {
            var longest = 0L;
            for (var round = 0; round < 40; round++)
            {
                await disk.WriteAsync(round % 20 * 2L * MiB, Pattern(round, 4096), WriteFlags.None, None);
                await disk.TrimAsync(round % 20 * 2L * MiB, 2 * MiB, None);
                await disk.FlushAsync(None);
                await disk.FlushAsync(None);
                longest = Math.Max(longest, file.Length);
            }

            Assert.InRange(longest, 0, empty + (12 * MiB));
        }

        Assert.Equal(empty, file.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Blocks_start_on_pages_of_the_host()
    {
        var file = await CreateAsync(64L * MiB, blockSize: 2 * MiB);
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            for (var block = 0; block < 5; block++)
                await disk.WriteAsync(block * 2L * MiB, Pattern(1, 4096), WriteFlags.None, None);
        }

        var table = file.ToArray().AsSpan(TableOffset, 20);
        for (var block = 0; block < 5; block++)
            Assert.Equal(0, ((System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(table[(block * 4)..]) * 512L) + 512) % 4096);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_second_write_to_a_block_is_not_acknowledged_before_the_block_has_its_place(bool child)
    {
        var crash = new CrashFile(child ? await CreateChildAsync() : await CreateAsync());
        var faulty = new FaultyFile(crash);
        BlockDevice? OpenParent() => child ? ParentOf(new byte[8 * MiB]) : null;
        await using var disk = await OpenAsync(faulty, parent: OpenParent(), headroom: 8 * MiB);
        await disk.WriteAsync(7 * MiB, Pattern(9, 512), WriteFlags.None, None);
        var rule = faulty.Add(new FaultRule(FileOperation.Write) { Holds = true, Where = (offset, _) => offset is >= TableOffset and < TableOffset + 512 });
        var first = disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None).AsTask();
        await rule.Reached;
        var second = disk.WriteAsync(8192, Pattern(2, 4096), WriteFlags.None, None).AsTask();
        await disk.WriteAsync(7 * MiB, Pattern(3, 512), WriteFlags.None, None);
        await disk.FlushAsync(None);
        await Task.Delay(50, None);
        Assert.False(second.IsCompleted, "acknowledged before its block is in the table: a kill now would lose it");
        rule.Release();
        await Task.WhenAll(first, second);
        await using var killed = await OpenAsync(crash.AfterKill(crash.EventCount), parent: OpenParent());
        Assert.Equal(Pattern(1, 4096), await ReadAsync(killed, 0, 4096));
        Assert.Equal(Pattern(2, 4096), await ReadAsync(killed, 8192, 4096));
    }
}
