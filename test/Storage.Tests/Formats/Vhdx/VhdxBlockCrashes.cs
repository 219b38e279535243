using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Crashes at every change of the file while blocks are given away, reused and logged until the log wraps.</summary>
public sealed class VhdxBlockCrashes
{
    private const int BlockSize = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Few blocks, and as many allocations, trims and zeroings as it takes to reuse space again and again.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(1, 1000)]
    [InlineData(2, 1000)]
    [InlineData(3, 1000)]
    [InlineData(4, 10)]
    [InlineData(5, 3)]
    public async Task Reused_space_never_shows_another_blocks_bytes(int seed, int killEvery)
    {
        var run = await CrashRun.StartAsync(6L * BlockSize, seed);
        var random = new Random(seed);
        for (var step = 1; step <= 70; step++)
        {
            await StepAsync(run, random, blocks: 6);
            if (step % killEvery == 0)
                await run.KillAsync();
        }

        await run.CloseAsync();
        await run.JudgeAsync(every: 1, draws: 3, interruptReplayEvery: 7);
    }

    /// <summary>Blocks on four pages of the table, so that an entry does not make all older ones unnecessary.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(11, 25, 10_000)]
    [InlineData(12, 10_000, 10_000)]
    [InlineData(13, 10_000, 23)]
    public async Task A_log_that_wraps_keeps_every_promise(int seed, int flushEvery, int killEvery)
    {
        var run = await CrashRun.StartAsync(2048L * BlockSize, seed);
        var random = new Random(seed);
        for (var step = 0; run.TableChanges < 290; step++)
        {
            var start = ((random.Next(4) * 512L) + random.Next(2)) * BlockSize;
            if (step % flushEvery == flushEvery - 1)
                await run.FlushAsync();
            else if (random.Next(3) == 0)
                await run.ZeroAsync(start, BlockSize, trim: true);
            else
                await run.WriteAsync(start + (random.Next(100) * 512), 512, force: false);
            if (step % killEvery == killEvery - 1)
                await run.KillAsync();
        }

        await run.CloseAsync();
        await run.JudgeAsync(every: 9, draws: 2, interruptReplayEvery: 25);
    }

    private static Task StepAsync(CrashRun run, Random random, int blocks)
    {
        var start = (long)random.Next(blocks) * BlockSize;
        return random.Next(10) switch
        {
            0 => run.FlushAsync(),
            1 or 2 => run.ZeroAsync(start, BlockSize, trim: true),
            3 => run.ZeroAsync(start, BlockSize, trim: false),
            4 => run.ZeroAsync(start + 4096, 8192, trim: random.Next(2) == 0),
            5 => run.WriteAsync(start + (random.Next(100) * 512), 4096, force: true),
            _ => run.WriteAsync(start + (random.Next(100) * 512), 8192, force: false),
        };
    }

    /// <summary>A disk in a crash file with a history of what it was told.</summary>
    private sealed class CrashRun
    {
        private readonly CrashFile _file;
        private readonly CrashHistory _history = new();
        private readonly SortedSet<long> _blocks = [];
        private readonly string _name;
        private readonly int _seed;
        private readonly byte[] _part = new byte[64 << 10];
        private VhdxDisk _disk;
        private int _id;
        private int _judged;

        private CrashRun(CrashFile file, VhdxDisk disk, int seed)
        {
            _file = file;
            _disk = disk;
            _seed = seed;
            _name = $"seed {seed}";
        }

        /// <summary>Blocks that got or lost a place so far; each change takes at least 8 KiB of log.</summary>
        public int TableChanges { get; private set; }

        public static async Task<CrashRun> StartAsync(long size, int seed)
        {
            var formatted = new MemoryFile(path: "crash.vhdx");
            await VhdxDisk.CreateAsync(formatted, new VhdxCreateOptions { Size = size, BlockSize = BlockSize }, None);
            var file = new CrashFile(formatted);
            return new CrashRun(file, await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), None), seed);
        }

        public async Task WriteAsync(long offset, int length, bool force)
        {
            TableChanges += await IsHoleAsync(offset) ? 1 : 0;
            var start = _file.EventCount;
            var id = ++_id;
            var flags = force ? WriteFlags.ForceUnitAccess : WriteFlags.None;
            await _disk.WriteAsync(offset, CrashHistory.Content(id, offset, length), flags, None);
            _history.Add(id, offset, length, start, _file.EventCount, force);
            if (force)
                _history.AddFlush(start, _file.EventCount);
            _blocks.Add(offset / BlockSize);
        }

        public async Task ZeroAsync(long offset, int length, bool trim)
        {
            TableChanges += length == BlockSize && !await IsHoleAsync(offset) ? 1 : 0;
            var start = _file.EventCount;
            await (trim ? _disk.TrimAsync(offset, length, None) : _disk.WriteZeroesAsync(offset, length, WriteFlags.None, None));
            _history.Add(0, offset, length, start, _file.EventCount, forced: false);
            _blocks.Add(offset / BlockSize);
        }

        public async Task FlushAsync()
        {
            var start = _file.EventCount;
            await _disk.FlushAsync(None);
            _history.AddFlush(start, _file.EventCount);
        }

        /// <summary>The process dies and the next one opens the disk; nothing has become stable by that.</summary>
        public async Task KillAsync() => _disk = await VhdxDisk.OpenAsync(_file.Reopen(), new VhdxOpenOptions(), None);

        public async Task CloseAsync()
        {
            var start = _file.EventCount;
            await _disk.DisposeAsync();
            _history.AddFlush(start, _file.EventCount);
        }

        public async Task JudgeAsync(int every, int draws, int interruptReplayEvery)
        {
            var changes = _file.Events;
            for (var events = 0; events <= changes.Count; events++)
            {
                // Headers and table in place are written seldom, and there every order counts.
                var critical = IsMetadata(changes, events - 1) || IsMetadata(changes, events);
                if (!critical && events % every != 0)
                    continue;
                await JudgeAsync(_file.AfterKill(events), new CrashPoint(events, events, false, $"{_name}, killed"));
                await JudgeAsync(_file.AfterPowerCut(events, PowerCut.FlushedOnly), new CrashPoint(events, events, true, $"{_name}, only flushed"));
                for (var draw = 0; draw < (critical ? 8 : draws); draw++)
                {
                    var chosen = (((_seed * 10_000) + events) * 10) + draw;
                    var image = _file.AfterPowerCut(events, PowerCut.RandomSubset, chosen);
                    var crash = new CrashPoint(events, events, true, $"{_name}, random subset {chosen}");
                    if (events % interruptReplayEvery == 0 && draw == 0)
                        await JudgeInterruptedReplayAsync(image, crash);
                    else
                        await JudgeAsync(image, crash);
                }

                if (events < changes.Count)
                    await JudgeAsync(_file.AfterKillInside(events, events), new CrashPoint(events, events + 1, false, $"{_name}, killed inside the next"));
            }
        }

        private static bool IsMetadata(IReadOnlyList<FileEvent> changes, int index) =>
            index >= 0 && index < changes.Count && changes[index].Operation == FileOperation.Write
            && changes[index].Offset is < VhdxSample.LogOffset or (>= VhdxSample.BatOffset and < VhdxSample.FirstBlockOffset);

        /// <summary>Crashes the opening itself after every change it makes; each time the next opening must get it right.</summary>
        private async Task JudgeInterruptedReplayAsync(MemoryFile image, CrashPoint crash)
        {
            var file = new CrashFile(image);
            await (await VhdxSample.OpenAfterPowerCutAsync(file)).DisposeAsync();
            for (var events = 0; events <= file.EventCount; events++)
            {
                var what = $"{crash.What}, replay cut after its event {events}";
                await JudgeAsync(file.AfterPowerCut(events, PowerCut.RandomSubset, events), crash with { What = what });
                await JudgeAsync(file.AfterPowerCut(events, PowerCut.FlushedOnly), crash with { What = what });
            }
        }

        private async Task<bool> IsHoleAsync(long offset)
        {
            var block = offset / BlockSize * BlockSize;
            var extent = await _disk.GetExtentAsync(block, BlockSize, None);
            return extent.ReadsAsZeroes && extent.Length == BlockSize;
        }

        private async Task JudgeAsync(MemoryFile image, CrashPoint crash)
        {
            if (_judged++ % 3 == 0)
            {
                var report = await VhdxCheck.RunAsync(image, None);
                Assert.True(report.IsSound, $"{crash}: {string.Join("; ", report.Findings)}");
                await using var reader = await VhdxDisk.OpenAsync(image.Reopen(readOnly: true), new VhdxOpenOptions(), None);
                await CheckContentAsync(reader, crash with { What = crash.What + ", read-only" });
            }

            await using (var disk = crash.PowerCut ? await VhdxSample.OpenAfterPowerCutAsync(image) : await VhdxSample.OpenAsync(image))
                await CheckContentAsync(disk, crash);
        }

        private async Task CheckContentAsync(VhdxDisk disk, CrashPoint crash)
        {
            // What was written lies in the first part of each block; the rest is only looked at where it is not a hole.
            foreach (var block in _blocks)
            {
                await disk.ReadAsync(block * BlockSize, _part, None);
                _history.Check(_part, crash, block * BlockSize);
                for (var at = (block * BlockSize) + _part.Length; at < (block + 1) * BlockSize;)
                {
                    var extent = await disk.GetExtentAsync(at, ((block + 1) * BlockSize) - at, None);
                    if (!extent.ReadsAsZeroes)
                    {
                        var rest = new byte[extent.Length];
                        await disk.ReadAsync(at, rest, None);
                        _history.Check(rest, crash, at);
                    }

                    at = extent.End;
                }
            }
        }
    }
}
