using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Testing.Disks;

/// <summary>
/// What every disk in a file must keep when the process or the power dies, tried after every single change of the file.
/// Derive one test class per format.
/// </summary>
public abstract class CrashConformance
{
    private static readonly CancellationToken None = CancellationToken.None;

    // Read into again and again: a new array of megabytes for each of thousands of states costs more than everything else.
    private byte[]? _content;
    private byte[]? _later;

    /// <summary>Logical sector size of the disk, in bytes; whole sectors of the history.</summary>
    protected virtual int SectorSize => CrashHistory.Sector;

    /// <summary>Bytes of the disk; small, since it is read whole for every crash.</summary>
    protected virtual long Size => (3 << 20) + (3 * SectorSize);

    /// <summary>The request of <see cref="CrashHistory.Content"/> whose bytes a new disk holds all over; 0 for zeroes. For a disk over
    /// a full parent: a sector that is neither old nor new shows.</summary>
    protected virtual int BaseRequest => 0;

    /// <summary>How many rounds of requests each run makes.</summary>
    protected virtual int Rounds => 14;

    /// <summary>Makes an empty file an empty disk; what this leaves must survive a power cut.</summary>
    protected abstract ValueTask FormatAsync(IStorageFile file, long size);

    /// <summary>Opens the disk; it owns the file then.</summary>
    protected abstract ValueTask<BlockDevice> OpenAsync(IStorageFile file);

    /// <summary>Opens the disk; it owns the file then. For formats that tell a power cut from a kill: the computer was started again.</summary>
    protected virtual ValueTask<BlockDevice> OpenAsync(IStorageFile file, bool afterPowerCut) => OpenAsync(file);

    [Theory(Timeout = 120_000)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    [InlineData(4, true)]
    [InlineData(5, true)]
    public async Task Flushed_writes_survive_every_power_cut_and_unflushed_ones_every_kill(int seed, bool concurrent)
    {
        var formatted = new MemoryFile(path: $"crash-seed-{seed}");
        await FormatAsync(formatted, Size);
        var file = new CrashFile(formatted) { FlushesYield = concurrent, ChangesYield = concurrent };
        var history = new CrashHistory(BaseRequest);
        await using (var disk = await OpenAsync(file))
            await UseAsync(disk, file, history, seed, concurrent);

        for (var events = 0; events <= file.EventCount; events++)
            await JudgeAllAsync(file, history, events, $"seed {seed}");
    }

    /// <summary>The next process goes on with what the killed one left, and nothing had become stable by the kill.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(11, false)]
    [InlineData(12, false)]
    [InlineData(13, true)]
    [InlineData(14, true)]
    public async Task Kills_and_power_cuts_in_one_life_keep_every_promise(int seed, bool concurrent)
    {
        var formatted = new MemoryFile(path: $"kills-seed-{seed}");
        await FormatAsync(formatted, Size);
        var file = new CrashFile(formatted) { FlushesYield = concurrent, ChangesYield = concurrent };
        var history = new CrashHistory(BaseRequest);
        for (var life = 0; life < 4; life++)
        {
            var disk = await OpenAsync(file);
            await UseAsync(disk, file, history, seed + (life * 100), concurrent, firstId: life * 1000);
            if (life == 3)
                await disk.DisposeAsync();
            file.Reopen();
        }

        for (var events = 0; events <= file.EventCount; events++)
            await JudgeAllAsync(file, history, events, $"kills, seed {seed}");
    }

    [Fact(Timeout = 20_000)]
    public async Task What_was_written_before_the_close_survives_a_power_cut()
    {
        var formatted = new MemoryFile(path: "crash-after-close");
        await FormatAsync(formatted, Size);
        var file = new CrashFile(formatted);
        var bytes = CrashHistory.Content(1, 4096, 8192);
        await using (var disk = await OpenAsync(file))
            await disk.WriteAsync(4096, bytes, WriteFlags.None, None);
        await using var again = await OpenAsync(file.AfterPowerCut(file.EventCount, PowerCut.FlushedOnly), afterPowerCut: true);
        Assert.Equal(bytes, (await ReadAllAsync(again))[4096..(4096 + 8192)]);
    }

    /// <summary>The guest does not notice that its worker was killed, so its flush means what the dead worker acknowledged too; and so
    /// does the close, whether the next worker changed anything or not.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flush_and_a_close_cover_what_was_written_before_the_process_was_killed(bool flush)
    {
        var formatted = new MemoryFile(path: "crash-after-kill");
        await FormatAsync(formatted, Size);
        await using (var disk = await OpenAsync(formatted.Reopen()))
            await disk.WriteAsync(0, CrashHistory.Content(1, 0, 16384), WriteFlags.None, None);
        var file = new CrashFile(formatted.Reopen());
        var bytes = CrashHistory.Content(2, 4096, 8192);
        var killed = await OpenAsync(file);
        await killed.WriteAsync(4096, bytes, WriteFlags.None, None);
        var later = await OpenAsync(file.Reopen());
        if (flush)
            await later.FlushAsync(None);
        else
            await later.DisposeAsync();
        await using var again = await OpenAsync(file.AfterPowerCut(file.EventCount, PowerCut.FlushedOnly), afterPowerCut: true);
        Assert.Equal(bytes, (await ReadAllAsync(again))[4096..(4096 + 8192)]);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_crash_while_the_disk_is_made_leaves_a_new_disk_or_a_clear_refusal()
    {
        var file = new CrashFile();
        await FormatAsync(file, Size);
        for (var events = 0; events <= file.EventCount; events++)
        {
            for (var draw = 0; draw < 4; draw++)
            {
                var image = file.AfterPowerCut(events, PowerCut.RandomSubset, draw);
                if (await TryOpenAsync(image) is not BlockDevice disk)
                    continue;
                await using (disk)
                {
                    if (disk.Length == Size)
                        new CrashHistory(BaseRequest).Check(await ReadAllAsync(disk), new CrashPoint(events, events, true, $"made, draw {draw}"));
                }
            }
        }

        await using var whole = await OpenAsync(file.AfterPowerCut(file.EventCount, PowerCut.FlushedOnly), afterPowerCut: true);
        Assert.Equal(Size, whole.Length);
    }

    private static async Task<byte[]> ReadAllAsync(BlockDevice disk)
    {
        var all = new byte[disk.Length];
        await disk.ReadAsync(0, all, None);
        return all;
    }

    private async Task<BlockDevice?> TryOpenAsync(MemoryFile image)
    {
        try
        {
            return await OpenAsync(image, afterPowerCut: true);
        }
        catch (StorageException)
        {
            return null;
        }
    }

    private async Task JudgeAllAsync(CrashFile file, CrashHistory history, int events, string what)
    {
        await JudgeAsync(file.AfterKill(events), history, new CrashPoint(events, events, false, $"{what}, killed"));
        var flushed = file.AfterPowerCut(events, PowerCut.FlushedOnly);
        await JudgeAsync(flushed, history, new CrashPoint(events, events, true, $"{what}, only flushed"));
        for (var draw = events * 3; draw < (events + 1) * 3; draw++)
        {
            var subset = file.AfterPowerCut(events, PowerCut.RandomSubset, draw);
            await JudgeAsync(subset, history, new CrashPoint(events, events, true, $"{what}, random subset {draw}"));
        }

        if (events == file.EventCount)
            return;
        var torn = file.AfterKillInside(events, events);
        await JudgeAsync(torn, history, new CrashPoint(events, events + 1, false, $"{what}, killed inside the next"));
    }

    private async Task JudgeAsync(MemoryFile image, CrashHistory history, CrashPoint crash)
    {
        byte[] content;
        await using (var disk = await OpenAsync(image, crash.PowerCut))
        {
            content = _content is not null && _content.Length == disk.Length ? _content : _content = new byte[disk.Length];
            await disk.ReadAsync(0, content, None);
            history.Check(content, crash);
            await WriteAgainAsync(disk, content);
        }

        // The repaired disk is a disk: what is written now is there after the next opening, and nothing else moved.
        await using var again = await OpenAsync(image.Reopen(), crash.PowerCut);
        var later = _later is not null && _later.Length == again.Length ? _later : _later = new byte[again.Length];
        await again.ReadAsync(0, later, None);
        Assert.True(content.AsSpan().SequenceEqual(later), $"{crash}: changed by opening and writing again");
    }

    private static async Task WriteAgainAsync(BlockDevice disk, byte[] content)
    {
        var bytes = CrashHistory.Content(1_000_000, 1 << 20, 4096);
        await disk.WriteAsync(1 << 20, bytes, WriteFlags.None, None);
        await disk.FlushAsync(None);
        bytes.CopyTo(content, 1 << 20);
    }

    private async Task UseAsync(BlockDevice disk, CrashFile file, CrashHistory history, int seed, bool concurrent, int firstId = 0)
    {
        var random = new Random(seed);
        var id = firstId;
        for (var round = 0; round < Rounds; round++)
        {
            var running = new List<Task>();
            var lanes = concurrent ? 4 : 1;
            for (var lane = 0; lane < lanes; lane++)
            {
                // Lanes share blocks, and pages, but no sector: the order of overlapping requests would be anyone's guess.
                var block = random.Next(3) << 20;
                var offset = Math.Min(block + (((random.Next(6) * 64) + (lane * 16)) * (long)SectorSize), Size - (17 * SectorSize));
                var length = random.Next(1, 17) * SectorSize;
                running.Add(RequestAsync(disk, file, history, ++id, random.Next(8), offset, length));
            }

            await Task.WhenAll(running);
        }
    }

    private static async Task RequestAsync(
        BlockDevice disk, CrashFile file, CrashHistory history, int id, int kind, long offset, int length)
    {
        var began = history.Now();
        var start = file.EventCount;
        switch (kind)
        {
            case 0:
                await disk.FlushAsync(None);
                history.AddFlush(start, file.EventCount, began);
                break;
            case 1:
                await disk.TrimAsync(offset, length, None);
                history.Add(0, offset, length, start, file.EventCount, forced: false);
                break;
            case 2:
                await disk.WriteZeroesAsync(offset, length, WriteFlags.None, None);
                history.Add(0, offset, length, start, file.EventCount, forced: false);
                break;
            case 3:
                await disk.WriteAsync(offset, CrashHistory.Content(id, offset, length), WriteFlags.ForceUnitAccess, None);
                history.Add(id, offset, length, start, file.EventCount, forced: true);
                break;
            default:
                await disk.WriteAsync(offset, CrashHistory.Content(id, offset, length), WriteFlags.None, None);
                history.Add(id, offset, length, start, file.EventCount, forced: false);
                break;
        }
    }
}
