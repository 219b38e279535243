using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>
/// The case in which QEMU's VHDX driver loses a flushed write: one client allocates a block, another writes into the same block,
/// flushes and is told that it is safe, and the server dies before the first one's allocation is in the log.
/// </summary>
public sealed class LostFlushTests
{
    private const int Block = 1 << 20;
    private const int Rounds = 12;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_flushed_write_into_a_block_that_another_client_allocates_survives_every_crash(int seed)
    {
        var random = new Random(seed);
        var formatted = new MemoryFile(path: $"lost-flush-seed-{seed}");
        await VhdxDisk.CreateAsync(formatted, new VhdxCreateOptions { Size = Rounds * Block, BlockSize = Block }, None);
        var file = new CrashFile(formatted) { ChangesYield = true, FlushesYield = true };
        var history = new CrashHistory();
        await using (var disk = await OpenAsync(file))
        {
            await using var server = new ServerUnderTest(disk);
            await using var first = await server.OpenAsync();
            await using var second = await server.OpenAsync();
            for (var round = 0; round < Rounds; round++)
            {
                var at = (long)round * Block;
                var allocating = WriteAsync(first, file, history, (round * 2) + 1, at + (random.Next(8) * 4096), flush: false);
                for (var spins = random.Next(200); spins > 0; spins--)
                    await Task.Yield();
                await WriteAsync(second, file, history, (round * 2) + 2, at + ((8 + random.Next(8)) * 4096), flush: true);
                await allocating;
            }
        }

        for (var events = 0; events <= file.EventCount; events++)
        {
            await JudgeAsync(file.AfterKill(events), history, new CrashPoint(events, events, false, $"seed {seed}, killed"));
            await JudgeAsync(
                file.AfterPowerCut(events, PowerCut.FlushedOnly), history, new CrashPoint(events, events, true, $"seed {seed}, only flushed"));
            await JudgeAsync(
                file.AfterPowerCut(events, PowerCut.RandomSubset, events), history, new CrashPoint(events, events, true, $"seed {seed}, subset"));
        }
    }

    private static async Task WriteAsync(NbdDevice device, CrashFile file, CrashHistory history, int id, long offset, bool flush)
    {
        var start = file.EventCount;
        await device.WriteAsync(offset, CrashHistory.Content(id, offset, 4096), WriteFlags.None, None);
        history.Add(id, offset, 4096, start, file.EventCount, forced: false);
        if (!flush)
            return;
        start = file.EventCount;
        await device.FlushAsync(None);
        history.AddFlush(start, file.EventCount);
    }

    private static async Task JudgeAsync(MemoryFile image, CrashHistory history, CrashPoint crash)
    {
        await using var disk = await OpenAsync(image);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, None);
        history.Check(content, crash);
    }

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), None);
}
