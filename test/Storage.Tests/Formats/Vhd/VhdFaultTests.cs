using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Every operation of the file fails once: the error is clear, nothing acknowledged is lost, the file stays sound.</summary>
public sealed class VhdFaultTests
{
    private const int Blocks = 6;
    private const int Block = 512 << 10;
    private const int Length = 4096;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly byte[] ParentContent = Pattern(77, Blocks * Block);

    [Theory(Timeout = 60_000)]
    [InlineData(FileOperation.Write, StorageErrorKind.IoFailed, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.Write, StorageErrorKind.NoSpace, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.Flush, StorageErrorKind.IoFailed, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.SetLength, StorageErrorKind.NoSpace, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.PunchHole, StorageErrorKind.IoFailed, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.AllocateZeroes, StorageErrorKind.NoSpace, (int)VhdKind.Dynamic)]
    [InlineData(FileOperation.Write, StorageErrorKind.IoFailed, (int)VhdKind.Differencing)]
    [InlineData(FileOperation.Write, StorageErrorKind.NoSpace, (int)VhdKind.Differencing)]
    [InlineData(FileOperation.Flush, StorageErrorKind.IoFailed, (int)VhdKind.Differencing)]
    [InlineData(FileOperation.SetLength, StorageErrorKind.NoSpace, (int)VhdKind.Differencing)]
    [InlineData(FileOperation.PunchHole, StorageErrorKind.IoFailed, (int)VhdKind.Differencing)]
    [InlineData(FileOperation.Write, StorageErrorKind.IoFailed, (int)VhdKind.Fixed)]
    public async Task After_any_failure_what_was_acknowledged_is_there_and_the_file_is_sound(FileOperation operation, StorageErrorKind kind, int disk)
    {
        for (var nth = 1; ; nth++)
        {
            for (var keep = 0; keep <= (operation == FileOperation.Write ? 1536 : 0); keep += 1536)
            {
                var image = await NewAsync(disk);
                var faulty = new FaultyFile(image.Reopen());
                faulty.Add(new FaultRule(operation) { Error = kind, Nth = nth, KeepBytes = keep });
                var model = new Model(disk == (int)VhdKind.Differencing ? ParentContent : new byte[Blocks * Block]);
                var opened = await OpenAsync(faulty, parent: OpenParent(disk));
                await model.RunAsync(opened);
                await model.CloseAsync(opened);

                var report = await VhdCheck.RunAsync(image.Reopen(readOnly: true), None);
                Assert.True(report.IsSound, $"{operation} {nth}: {string.Join("; ", report.Findings)}");
                await using (var again = await OpenAsync(image.Reopen(), parent: OpenParent(disk)))
                    await model.CheckAsync(again, $"{operation} number {nth} failed with {kind}");
                if (faulty.Count(operation) < nth)
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
        await using (var disk = await OpenAsync(faulty))
        {
            await disk.WriteAsync(0, Pattern(1, Length), WriteFlags.None, None);
            for (var round = 1; round < 30; round++)
            {
                faulty.Fail(round % 2 == 0 ? FileOperation.SetLength : FileOperation.Write, StorageErrorKind.NoSpace);
                var error = await Assert.ThrowsAsync<StorageException>(() =>
                    disk.WriteAsync(round * (long)MiB, Pattern(round, Length), WriteFlags.None, None).AsTask());
                Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
                Assert.Equal(new byte[Length], await ReadAsync(disk, round * (long)MiB, Length));
                await disk.WriteAsync(round * (long)MiB, Pattern(round, Length), WriteFlags.None, None);
                await disk.WriteAsync(0, Pattern(1, Length), WriteFlags.None, None);
            }
        }

        Assert.True((await VhdCheck.RunAsync(image.Reopen(), None)).IsSound);
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
            () => disk.ResizeAsync(9 * MiB, None).AsTask(),
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

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_create_that_fails_at_any_point_leaves_no_image(bool isFixed)
    {
        foreach (var operation in new[] { FileOperation.Write, FileOperation.Flush })
        {
            for (var nth = 1; ; nth++)
            {
                var memory = new MemoryFile();
                var faulty = new FaultyFile(memory);
                faulty.Fail(operation, StorageErrorKind.NoSpace, nth);
                try
                {
                    await VhdDisk.CreateAsync(faulty, new VhdCreateOptions { Size = 4 * MiB, Fixed = isFixed }, None);
                    Assert.True(nth > 1);
                    break;
                }
                catch (StorageException error)
                {
                    Assert.Equal(StorageErrorKind.NoSpace, error.Kind);

                    // The first footer makes it an image; what comes after that is its copy and a flush.
                    var isImage = operation == FileOperation.Flush ? nth == 2 : !isFixed && nth == 4;
                    if (!isImage)
                        await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(memory));
                }
            }
        }
    }

    private static Task<MemoryFile> NewAsync(int kind) => kind == (int)VhdKind.Differencing
        ? CreateChildAsync(Blocks * Block)
        : CreateAsync(Blocks * Block, isFixed: kind == (int)VhdKind.Fixed);

    private static BlockDevice? OpenParent(int kind) => kind == (int)VhdKind.Differencing ? ParentOf(ParentContent) : null;

    /// <summary>A fixed sequence of requests, and for the start of each block what it may hold.</summary>
    private sealed class Model(byte[] start)
    {
        private readonly List<byte[]>[] _allowed =
            Enumerable.Range(0, Blocks).Select(block => new List<byte[]> { start[(block * Block)..((block * Block) + Length)] }).ToArray();

        public int Failures { get; private set; }

        public async Task RunAsync(VhdDisk disk)
        {
            for (var step = 0; step < 24; step++)
            {
                var block = step * 5 % Blocks;
                var place = block * (long)Block;
                switch (step % 8)
                {
                    case 3:
                        await TryAsync(block, new byte[Length], () => disk.TrimAsync(place, Block, None));
                        break;
                    case 5:
                        await TryAsync(block, new byte[Length], () => disk.WriteZeroesAsync(place, Block / 2, WriteFlags.None, None));
                        break;
                    case 6:
                        await TryAsync(block, new byte[Length], () => disk.WriteZeroesAsync(place, Block, WriteFlags.KeepAllocated, None));
                        break;
                    case 7:
                        await TryAsync(-1, [], () => disk.FlushAsync(None));
                        await TryAsync(-1, [], () => disk.FlushAsync(None));
                        break;
                    default:
                        var bytes = Pattern(step, Length);
                        await TryAsync(block, bytes, () => disk.WriteAsync(place, bytes, WriteFlags.None, None));
                        break;
                }
            }
        }

        public Task CloseAsync(VhdDisk disk) => TryAsync(-1, [], disk.DisposeAsync);

        public async Task CheckAsync(VhdDisk disk, string what)
        {
            for (var block = 0; block < Blocks; block++)
            {
                var found = await ReadAsync(disk, block * (long)Block, Length);
                for (var at = 0; at < Length; at += 512)
                {
                    Assert.True(
                        _allowed[block].Exists(allowed => allowed.AsSpan(at, 512).SequenceEqual(found.AsSpan(at, 512))),
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
