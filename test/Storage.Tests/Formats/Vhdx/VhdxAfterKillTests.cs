using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>The next process goes on with the log of a killed one; nothing waits for the storage.</summary>
public sealed class VhdxAfterKillTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_writes_and_trims_after_a_kill_wait_for_no_flush_and_a_new_block_for_one(bool hasAllocated)
    {
        var left = await KilledAsync(hasAllocated);
        var file = new FaultyFile(left.Reopen());
        await using var disk = await OpenAsync(file);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
        Assert.Equal(0, file.Count(FileOperation.Write));
        await disk.WriteAsync(0, Pattern(2, 4096), WriteFlags.None, None);
        await disk.WriteAsync(MiB + 4096, Pattern(3, 4096), WriteFlags.None, None);
        await disk.TrimAsync(0, MiB, None);
        Assert.Equal(0, file.Count(FileOperation.Flush));
        await disk.FlushAsync(None);
        Assert.Equal(1, file.Count(FileOperation.Flush));
        Assert.Equal(new byte[4096], await ReadAsync(disk, 0, 4096));
        Assert.Equal(Pattern(3, 4096), await ReadAsync(disk, MiB + 4096, 4096));

        // The file grows anew, since what it had grown ahead may hold bytes that the killed process did not get into the log.
        await disk.WriteAsync(6 * MiB, Pattern(6, 4096), WriteFlags.None, None);
        await disk.WriteAsync(7 * MiB, Pattern(7, 4096), WriteFlags.None, None);
        Assert.Equal(2, file.Count(FileOperation.Flush));
    }

    [Fact(Timeout = 20_000)]
    public async Task Another_start_of_the_computer_and_another_programs_log_are_replayed()
    {
        var left = await KilledAsync(hasAllocated: true);
        await using (var disk = await OpenAfterPowerCutAsync(left.Copy()))
            Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
        Assert.True(VhdxLogName.IsOf(Boot, await LogNameAsync(left)));
        var cut = new FaultyFile(left.Copy());
        await using (await OpenAfterPowerCutAsync(cut))
            Assert.Equal(3, cut.Count(FileOperation.Flush));
        for (var start = 0; start < 100; start++)
            Assert.False(VhdxLogName.IsOf(Boot, Guid.NewGuid()));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_close_after_a_kill_leaves_nothing_to_replay(bool hasChanged)
    {
        var left = await KilledAsync(hasAllocated: true);
        await using (var disk = await OpenAsync(left.Reopen()))
        {
            if (hasChanged)
                await disk.WriteAsync(5 * MiB, Pattern(5, 512), WriteFlags.None, None);
        }

        Assert.Equal(Guid.Empty, await LogNameAsync(left));
        Assert.True(await VhdxCheck.RunAsync(left.Reopen(), None) is { Errors: 0, Warnings: 0 });
        await using var again = await OpenAsync(left.Reopen(readOnly: true), readOnly: true);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(again, 0, 4096));
    }

    /// <summary>A child that was made of the image in between must not take it for what it was.</summary>
    [Fact(Timeout = 20_000)]
    public async Task The_identity_changes_with_the_first_write_after_a_kill_unless_it_is_to_be_kept()
    {
        var left = await KilledAsync(hasAllocated: true);
        Guid before;
        await using (var disk = await OpenAsync(left.Copy()))
        {
            before = disk.DataWriteGuid;
            await disk.WriteAsync(0, Pattern(5, 512), WriteFlags.None, None);
            Assert.NotEqual(before, disk.DataWriteGuid);
        }

        await using var keeping = await VhdxDisk.OpenAsync(left.Copy(), new VhdxOpenOptions { KeepsDataWriteGuid = true }, None);
        await keeping.WriteAsync(0, Pattern(5, 512), WriteFlags.None, None);
        Assert.Equal(before, keeping.DataWriteGuid);
    }

    /// <summary>The size is in the log as well, and that is no page that a disk in use may hold back.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_log_with_more_than_the_table_is_replayed()
    {
        var left = await CreateAsync(8 * MiB);
        var killed = await OpenAsync(left.Reopen());
        await killed.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
        await killed.ResizeAsync(16 * MiB, None);
        var file = new FaultyFile(left.Reopen());
        await using var disk = await OpenAsync(file);
        Assert.Equal(3, file.Count(FileOperation.Flush));
        Assert.Equal(16 * MiB, disk.Length);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
    }

    /// <summary>Killed while a flush seals entries: the newest sealed one may need one that a power cut voids, so it is no state to fall back to, and
    /// what the last stable one needs must stay.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_log_whose_newest_sealed_entry_needs_an_unsealed_one_is_replayed()
    {
        var formatted = new MemoryFile(path: "killed-while-sealing.vhdx");
        await VhdxDisk.CreateAsync(formatted, new VhdxCreateOptions { Size = 64 * MiB, BlockSize = MiB, Parent = SomeParent }, None);

        // The bitmap has its place by then, and the log nothing of it.
        await using (var first = await OpenChildAsync(formatted.Reopen()))
            await first.WriteAsync(60 * MiB, Pattern(9, 4096), WriteFlags.None, None);
        var file = new CrashFile(formatted.Reopen());
        var disk = await OpenChildAsync(file);

        // Pages of the bitmap 1, 2, 1: the second entry needs the first, the third only the second.
        await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.None, None);
        await disk.WriteAsync(32 * MiB, Pattern(2, 4096), WriteFlags.None, None);
        await disk.WriteAsync(MiB, Pattern(3, 4096), WriteFlags.None, None);
        var before = file.EventCount;
        await disk.FlushAsync(None);
        var seals = Enumerable.Range(before, file.EventCount - before).Where(at => file.Events[at] is { Operation: FileOperation.Write, Length: sizeof(uint) }).ToList();
        Assert.Equal(2, seals.Count);
        Assert.NotNull(await LeftAsync(file.AfterKill(before)));
        Assert.Null(await LeftAsync(file.AfterKill(seals[0] + 1)));
        Assert.NotNull(await LeftAsync(file.AfterKill(seals[1] + 1)));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_failed_rewrite_of_the_header_is_tried_again()
    {
        var left = await KilledAsync(hasAllocated: true);
        var file = new FaultyFile(left.Reopen());
        await using var disk = await OpenAsync(file);
        file.Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.IoFailed });
        await Assert.ThrowsAsync<StorageException>(() => disk.WriteAsync(0, Pattern(2, 4096), WriteFlags.None, None).AsTask());
        await disk.WriteAsync(0, Pattern(3, 4096), WriteFlags.None, None);
        Assert.Equal(Pattern(3, 4096), await ReadAsync(disk, 0, 4096));
    }

    private static Guid Boot => new VhdxOpenOptions().BootId;

    private static async Task<MemoryFile> KilledAsync(bool hasAllocated)
    {
        var file = await CreateAsync(8 * MiB);
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            for (var block = 0; block < 3; block++)
                await disk.WriteAsync(block * MiB, Pattern(1, 4096), WriteFlags.None, None);
        }

        var killed = await OpenAsync(file.Reopen());
        await killed.WriteAsync((hasAllocated ? 4 : 2) * MiB, Pattern(4, 4096), WriteFlags.None, None);
        return file;
    }

    private static ValueTask<VhdxDisk> OpenChildAsync(IStorageFile file) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = new ReferenceDisk(64 * MiB) }, None);

    private static async Task<VhdxLogLeft?> LeftAsync(MemoryFile file)
    {
        var headers = await VhdxHeaders.ReadAsync(file, VhdxFindings.Strict(file), None);
        return await VhdxLogLeft.ReadAsync(file, headers.Current, Boot, None);
    }

    private static async Task<Guid> LogNameAsync(MemoryFile file)
    {
        var headers = await VhdxHeaders.ReadAsync(file.Copy(), VhdxFindings.Strict(file), None);
        return headers.Current.LogGuid;
    }
}
