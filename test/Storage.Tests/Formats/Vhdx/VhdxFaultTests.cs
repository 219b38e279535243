using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Every operation of the file fails once: the error is clear, nothing acknowledged is lost, the file stays sound.</summary>
public sealed class VhdxFaultTests
{
    private const int Blocks = 6;
    private const int Length = 4096;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData(FileOperation.Write, StorageErrorKind.IoFailed)]
    [InlineData(FileOperation.Write, StorageErrorKind.NoSpace)]
    [InlineData(FileOperation.Flush, StorageErrorKind.IoFailed)]
    [InlineData(FileOperation.Flush, StorageErrorKind.NoSpace)]
    [InlineData(FileOperation.SetLength, StorageErrorKind.NoSpace)]
    [InlineData(FileOperation.PunchHole, StorageErrorKind.IoFailed)]
    [InlineData(FileOperation.AllocateZeroes, StorageErrorKind.NoSpace)]
    public async Task After_any_failure_what_was_acknowledged_is_there_and_the_file_is_sound(FileOperation operation, StorageErrorKind kind)
    {
        for (var nth = 1; ; nth++)
        {
            for (var keep = 0; keep <= (operation == FileOperation.Write ? 1536 : 0); keep += 1536)
            {
                var image = await CreateAsync(Blocks * MiB);
                var faulty = new FaultyFile(image.Reopen());
                var rule = faulty.Add(new FaultRule(operation) { Error = kind, Nth = nth, KeepBytes = keep });
                var model = new Model();
                await using (var disk = await OpenAsync(faulty))
                {
                    await model.RunAsync(disk);
                    await model.CloseAsync(disk);
                }

                var report = await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None);
                Assert.True(report.IsSound, $"{operation} {nth}: {string.Join("; ", report.Findings)}");
                await using (var again = await OpenAsync(image.Reopen()))
                    await model.CheckAsync(again, $"{operation} number {nth} failed with {kind}");
                if (!rule.WasUsed(faulty))
                {
                    Assert.True(nth > 1, $"the sequence never does a {operation}");
                    Assert.Equal(0, model.Failures);
                    return;
                }
            }
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_full_file_system_stops_only_what_needs_space_and_going_on_works_once_there_is_some()
    {
        var image = await CreateAsync(64 * MiB);
        var faulty = new FaultyFile(image.Reopen());
        await using (var disk = await OpenTightAsync(faulty))
        {
            await disk.WriteAsync(0, Pattern(1, Length), WriteFlags.None, None);
            for (var round = 1; round < 30; round++)
            {
                // Later on the failed attempts' space is used again, and no round has to grow the file any more.
                var operation = round % 3 == 0 && round < 12 ? FileOperation.SetLength : FileOperation.Write;
                faulty.Fail(operation, StorageErrorKind.NoSpace, nth: operation == FileOperation.Write ? 1 + (round % 2) : 1);
                var error = await Assert.ThrowsAsync<StorageException>(() =>
                    disk.WriteAsync(round * (long)MiB, Pattern(round, Length), WriteFlags.None, None).AsTask());
                Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
                Assert.Equal(new byte[Length], await ReadAsync(disk, round * (long)MiB, Length));
                if (round >= 12 && round % 3 == 0)
                    await disk.FlushAsync(None);
                await disk.WriteAsync(round * (long)MiB, Pattern(round, Length), WriteFlags.None, None);
                await disk.WriteAsync(0, Pattern(1, Length), WriteFlags.None, None);
            }
        }

        Assert.True((await VhdxCheck.RunAsync(image.Reopen(), None)).IsSound);
        await using var again = await OpenAsync(image.Reopen());
        for (var round = 1; round < 30; round++)
            Assert.Equal(Pattern(round, Length), await ReadAsync(again, round * (long)MiB, Length));
    }

    [Fact(Timeout = 60_000)]
    public async Task After_a_failed_flush_writing_is_over_and_reading_goes_on()
    {
        var faulty = new FaultyFile(await CreateAsync());
        var disk = await OpenAsync(faulty);
        await disk.WriteAsync(0, Pattern(1, Length), WriteFlags.None, None);
        faulty.Fail(FileOperation.Flush);
        Assert.Equal(StorageErrorKind.IoFailed, (await Assert.ThrowsAsync<StorageException>(() => disk.FlushAsync(None).AsTask())).Kind);
        var writes = faulty.Count(FileOperation.Write);
        Func<Task>[] changes =
        [
            () => disk.WriteAsync(0, Pattern(2, Length), WriteFlags.None, None).AsTask(),
            () => disk.WriteAsync(3 * MiB, Pattern(2, Length), WriteFlags.None, None).AsTask(),
            () => disk.TrimAsync(0, MiB, None).AsTask(),
            () => disk.WriteZeroesAsync(0, MiB, WriteFlags.None, None).AsTask(),
            () => disk.FlushAsync(None).AsTask(),
        ];
        foreach (var change in changes)
        {
            var error = await Assert.ThrowsAsync<StorageException>(change);
            Assert.Equal(StorageErrorKind.Closed, error.Kind);
            Assert.Contains("fault injected by the test", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(Pattern(1, Length), await ReadAsync(disk, 0, Length));
        await disk.DisposeAsync();
        Assert.Equal(writes, faulty.Count(FileOperation.Write));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_create_that_fails_at_any_point_leaves_no_image()
    {
        foreach (var operation in new[] { FileOperation.Write, FileOperation.Flush, FileOperation.SetLength, FileOperation.AllocateZeroes })
        {
            for (var nth = 1; ; nth++)
            {
                var memory = new MemoryFile();
                var faulty = new FaultyFile(memory);
                faulty.Fail(operation, StorageErrorKind.NoSpace, nth);
                try
                {
                    await VhdxDisk.CreateAsync(faulty, new VhdxCreateOptions { Size = 4 * MiB, BlockSize = MiB, Fixed = true }, None);
                    Assert.True(nth > 1);
                    break;
                }
                catch (StorageException error)
                {
                    Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
                    var last = operation == FileOperation.Flush && nth == 2;
                    if (!last)
                        await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(memory));
                }
            }
        }
    }

    /// <summary>A fixed sequence of requests, and for each block what it may hold.</summary>
    private sealed class Model
    {
        private readonly List<byte[]>[] _allowed = Enumerable.Range(0, Blocks).Select(_ => new List<byte[]> { new byte[Length] }).ToArray();

        public int Failures { get; private set; }

        public async Task RunAsync(VhdxDisk disk)
        {
            for (var step = 0; step < 24; step++)
            {
                var block = step * 5 % Blocks;
                var start = block * (long)MiB;
                switch (step % 8)
                {
                    case 3:
                        await TryAsync(block, new byte[Length], () => disk.TrimAsync(start, MiB, None));
                        break;
                    case 5:
                        await TryAsync(block, new byte[Length], () => disk.WriteZeroesAsync(start, MiB / 2, WriteFlags.None, None));
                        break;
                    case 6:
                        await TryAsync(block, new byte[Length], () => disk.WriteZeroesAsync(start, MiB, WriteFlags.KeepAllocated, None));
                        break;
                    case 7:
                        await TryAsync(-1, [], () => disk.FlushAsync(None));
                        await TryAsync(-1, [], () => disk.FlushAsync(None));
                        break;
                    default:
                        var bytes = Pattern(step, Length);
                        await TryAsync(block, bytes, () => disk.WriteAsync(start, bytes, WriteFlags.None, None));
                        break;
                }
            }
        }

        public Task CloseAsync(VhdxDisk disk) => TryAsync(-1, [], disk.DisposeAsync);

        public async Task CheckAsync(VhdxDisk disk, string what)
        {
            for (var block = 0; block < Blocks; block++)
            {
                var found = await ReadAsync(disk, block * (long)MiB, Length);
                for (var at = 0; at < Length; at += 512)
                {
                    var sector = found[at..(at + 512)];
                    Assert.True(
                        _allowed[block].Exists(allowed => allowed.AsSpan(at, 512).SequenceEqual(sector)),
                        $"{what}: sector {at / 512} of block {block} holds neither what was acknowledged nor what was tried");
                }
            }
        }

        private async Task TryAsync(int block, byte[] content, Func<ValueTask> request)
        {
            try
            {
                await request();
                if (block >= 0)
                    _allowed[block].Clear();
            }
            catch (StorageException error)
            {
                Assert.Contains(error.Kind, new[] { StorageErrorKind.IoFailed, StorageErrorKind.NoSpace, StorageErrorKind.Closed });
                Failures++;
            }

            if (block >= 0)
                _allowed[block].Add(content);
        }
    }
}

file static class FaultRuleUse
{
    /// <summary>The rule's turn has come.</summary>
    public static bool WasUsed(this FaultRule rule, FaultyFile file) => file.Count(rule.Operation) >= rule.Nth;
}
