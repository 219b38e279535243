using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Crashes at every change of the file while blocks are given away and reused, by one process after another, each
/// of them killed.</summary>
public sealed class VhdBlockCrashes
{
    private const int Blocks = 6;
    private const int BlockSize = 512 << 10;
    private const int Looked = 32 << 10;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly CrashHistory _childHistory = new(CrashHistory.BaseId);
    private CrashHistory _history = new();
    private bool _child;
    private int _id;
    private int _judged;

    [Theory(Timeout = 120_000)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(4, true)]
    [InlineData(5, true)]
    public async Task Reused_space_never_shows_another_blocks_bytes(int seed, bool child)
    {
        _child = child;
        _history = child ? _childHistory : _history;
        var formatted = child
            ? await VhdSample.CreateChildAsync(Blocks * BlockSize)
            : await VhdSample.CreateAsync(Blocks * BlockSize);
        var file = new CrashFile(formatted);
        var random = new Random(seed);
        var disk = await OpenAsync(file);
        for (var step = 0; step < 60; step++)
        {
            // A process that is killed leaves its disk as it is; what it wrote need not be stable when the next one starts.
            if (random.Next(12) == 0)
                disk = await OpenAsync(file.Reopen());
            await StepAsync(disk, file, random);
        }

        var start = file.EventCount;
        await disk.DisposeAsync();
        _history.AddFlush(start, file.EventCount);
        for (var events = 0; events <= file.EventCount; events++)
            await JudgeAllAsync(file, events, seed);
    }

    private async Task StepAsync(VhdDisk disk, CrashFile file, Random random)
    {
        var place = (long)random.Next(Blocks) * BlockSize;
        var inside = random.Next(40) * 512;
        switch (random.Next(10))
        {
            case 0 or 1:
                var start = file.EventCount;
                await disk.FlushAsync(None);
                _history.AddFlush(start, file.EventCount);
                break;
            case 2 or 3:
                await ChangeAsync(file, 0, place, BlockSize, () => disk.TrimAsync(place, BlockSize, None));
                break;
            case 4:
                await ChangeAsync(file, 0, place + 4096, 8192, () => disk.WriteZeroesAsync(place + 4096, 8192, WriteFlags.None, None));
                break;
            default:
                var id = ++_id;
                await ChangeAsync(file, id, place + inside, 8192, () =>
                    disk.WriteAsync(place + inside, CrashHistory.Content(id, place + inside, 8192), WriteFlags.None, None));
                break;
        }
    }

    private async Task ChangeAsync(CrashFile file, int id, long offset, int length, Func<ValueTask> change)
    {
        var start = file.EventCount;
        await change();
        _history.Add(id, offset, length, start, file.EventCount, forced: false);
    }

    private async Task JudgeAllAsync(CrashFile file, int events, int seed)
    {
        await JudgeAsync(file.AfterKill(events), new CrashPoint(events, events, false, $"seed {seed}, killed"));
        await JudgeAsync(file.AfterPowerCut(events, PowerCut.FlushedOnly), new CrashPoint(events, events, true, $"seed {seed}, only flushed"));
        for (var draw = 0; draw < 4; draw++)
        {
            var chosen = (((seed * 10_000) + events) * 10) + draw;
            await JudgeAsync(file.AfterPowerCut(events, PowerCut.RandomSubset, chosen), new CrashPoint(events, events, true, $"seed {seed}, random subset {chosen}"));
        }

        if (events < file.EventCount)
            await JudgeAsync(file.AfterKillInside(events, events), new CrashPoint(events, events + 1, false, $"seed {seed}, killed inside the next"));
    }

    private async Task JudgeAsync(MemoryFile image, CrashPoint crash)
    {
        if (_judged++ % 3 == 0)
        {
            var report = await VhdCheck.RunAsync(image.Reopen(), None);
            Assert.True(report.IsSound, $"{crash}: {string.Join("; ", report.Findings)}");
            await using var reader = await OpenAsync(image.Reopen(), readOnly: true);
            await CheckContentAsync(reader, crash with { What = crash.What + ", read-only" });
        }

        if (!_child)
            await CheckBitmapsAsync(image, crash);
        await using var disk = await OpenAsync(image);
        await CheckContentAsync(disk, crash);
    }

    /// <summary>Without a parent a block's bitmap is full whenever the block has a place. QEMU shows what is behind a clear bit,
    /// Godwit zeroes, and 7-Zip gives up.</summary>
    private static async Task CheckBitmapsAsync(MemoryFile image, CrashPoint crash)
    {
        var table = new byte[Blocks * sizeof(uint)];
        await image.ReadAsync(VhdSample.TableOffset, table, None);
        var bitmap = new byte[BlockSize / 512 / 8];
        for (var block = 0; block < Blocks; block++)
        {
            var sector = BinaryPrimitives.ReadUInt32BigEndian(table.AsSpan(block * sizeof(uint)));
            if (sector == uint.MaxValue)
                continue;
            await image.ReadAsync(sector * 512L, bitmap, None);
            Assert.False(bitmap.AsSpan().ContainsAnyExcept((byte)0xff), $"{crash}: the bitmap of block {block} has clear bits");
        }
    }

    /// <summary>What was written lies in the first part of each block; of the rest one sector is looked at.</summary>
    private async Task CheckContentAsync(VhdDisk disk, CrashPoint crash)
    {
        var part = new byte[Looked];
        for (long place = 0; place < Blocks * BlockSize; place += BlockSize)
        {
            await disk.ReadAsync(place, part, None);
            _history.Check(part, crash, place);
            await disk.ReadAsync(place + BlockSize - 512, part.AsMemory(0, 512), None);
            _history.Check(part.AsSpan(0, 512), crash, place + BlockSize - 512);
        }
    }

    private ValueTask<VhdDisk> OpenAsync(Storage.Files.IStorageFile file, bool readOnly = false) =>
        VhdSample.OpenAsync(file, readOnly, _child ? VhdSample.ParentOf(CrashHistory.Content(CrashHistory.BaseId, 0, Blocks * BlockSize)) : null);
}
