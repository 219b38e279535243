using System.Diagnostics;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Tables too big to be read at open: what an open costs, what pages that leave memory must not change.</summary>
public sealed class VhdxPagedTableTests
{
    private const long Huge = 64L << 40;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_biggest_disk_with_a_full_table_opens_quickly_and_reads_hardly_anything_of_it(bool readOnly)
    {
        var file = await HugeTableFile.CreateAsync(Huge, MiB, InOrder);
        await (await OpenAsync(file, readOnly)).DisposeAsync();
        var watch = Stopwatch.StartNew();
        var before = GC.GetAllocatedBytesForCurrentThread();
        await using var disk = await OpenAsync(file, readOnly);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 8 * MiB);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), $"took {watch.Elapsed}");
        Assert.InRange(file.TableBytesRead, 0, MiB);
        Assert.InRange(file.ExtentsAsked, 0, 10_000);

        Assert.Equal(new byte[4096], await ReadAsync(disk, Huge - 4096, 4096));
        Assert.InRange(file.TableBytesRead, 4096, MiB);
    }

    [Fact(Timeout = 30_000)]
    public async Task Going_through_all_of_a_full_table_keeps_few_pages_in_memory()
    {
        var geometry = new VhdxGeometry(8L << 40, MiB);
        var file = await HugeTableFile.CreateAsync(geometry.DiskSize, MiB, InOrder);
        var region = new VhdxRegion(VhdxFormat.BatRegion, BatOffset, geometry.TableLength, true);
        var table = await BlockAllocationTable.OpenAsync(file, region, geometry, 300, left: null, None);
        Assert.False(table.WasReadWhole);
        for (long block = 0; block < geometry.BlockCount; block += 100)
            Assert.Equal(InOrder(geometry.EntryOf(block)), await table.GetAsync(block, None));
        Assert.InRange(table.PagesInMemory, 200, 300);
        Assert.InRange(file.TableBytesRead, geometry.EntryCount * 8, (geometry.EntryCount * 8) + (64 << 10));

        // What was used just now is there, what was used long ago is not.
        Assert.True(table.TryGet(geometry.BlockCount - 1, out _));
        Assert.False(table.TryGet(0, out _));
        Assert.Equal(0, await table.NextPresentAsync(0, geometry.BlockCount, None));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_full_table_is_written_through_the_log_and_the_blocks_are_where_the_table_says()
    {
        var file = await HugeTableFile.CreateAsync(Huge, MiB, index => index % 3 == 0 ? default : InOrder(index));
        var length = file.Length;
        await using (var disk = await OpenTightAsync(file))
        {
            await disk.WriteAsync(7 * MiB, Pattern(1, 4096), WriteFlags.None, None);
            await disk.WriteAsync(Huge / 2, Pattern(2, 3 * MiB), WriteFlags.None, None);
            Assert.InRange(file.Length, length + MiB, length + (2 * MiB));
            await disk.TrimAsync(8 * MiB, 2 * MiB, None);
        }

        await using var again = await OpenAsync(file);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(again, 7 * MiB, 4096));
        Assert.Equal(Pattern(2, 3 * MiB), await ReadAsync(again, Huge / 2, 3 * MiB));
        Assert.Equal(Pattern(1, 4096), await PeekAsync(file, InOrder(7).Offset, 4096));
        Assert.Equal(ExtentKind.Hole, (await again.GetExtentAsync(8 * MiB, 2 * MiB, None)).Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_table_with_entries_all_over_it_opens_on_a_real_file_with_bounded_memory()
    {
        using var folder = new TempFolder();
        var path = folder.File("scattered.vhdx");
        await using (var file = LocalFile.Create(path))
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Huge, BlockSize = MiB, LogSize = 8 * MiB }, None);
        var step = Huge / 1000 / MiB * MiB;
        await using (var disk = await OpenAsync(LocalFile.Open(path, readOnly: false)))
        {
            for (long at = 0; at < Huge; at += step)
                await disk.WriteAsync(at, Pattern((int)(at / step), 512), WriteFlags.None, None);
        }

        foreach (var readOnly in new[] { true, false })
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var watch = Stopwatch.StartNew();
            await using var disk = await OpenAsync(LocalFile.Open(path, readOnly));
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), $"took {watch.Elapsed}");
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 8 * MiB);
            for (long at = 0; at < Huge; at += 37 * step)
                Assert.Equal(Pattern((int)(at / step), 512), await ReadAsync(disk, at, 512));
            Assert.Equal(step - 4096, (await disk.GetExtentAsync(4096, step, None)).Length);
        }

        await using var check = LocalFile.Open(path, readOnly: true);
        var report = await VhdxCheck.RunAsync(check, None);
        Assert.Empty(report.Findings);
        Assert.Equal((Huge + step - 1) / step, report.AllocatedBlocks);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_check_of_a_big_table_takes_bounded_memory_and_finds_the_two_blocks_at_one_place()
    {
        const long Size = 2L << 40;
        var far = new VhdxGeometry(Size, MiB).EntryOf((1L << 20) + 5);
        var file = await HugeTableFile.CreateAsync(Size, MiB, index => InOrder(index == far ? 9 : index));
        var report = await VhdxCheck.RunAsync(file, None);
        var finding = Assert.Single(report.Findings, finding => finding.Severity == CheckSeverity.Error);
        Assert.Contains($"block {(1 << 20) + 5} at {InOrder(9).Offset} overlaps block 9", finding.Message, StringComparison.Ordinal);
        Assert.Equal(BatOffset + (far * 8), finding.Offset);

        await using var disk = await OpenAsync(file);
        await ReadAsync(disk, 9L * MiB, 512);
        var error = await Assert.ThrowsAsync<StorageException>(() => ReadAsync(disk, (1L << 40) + (6L * MiB), 512));
        Assert.Equal((StorageErrorKind.Corrupt, file.Path, BatOffset + (far * 8)), (error.Kind, error.Path, error.Offset));
        Assert.Contains("overlaps", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StorageException>(() => ReadAsync(disk, (1L << 40) + (6L * MiB), 512));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(7, 1L << 40, "state 7")]
    [InlineData(6, 0, "inside the header section")]
    [InlineData(6, MiB, "overlaps")]
    [InlineData(6, MetadataOffset, "overlaps")]
    [InlineData(6, BatOffset + (100L * MiB), "overlaps")]
    [InlineData(6, 1L << 47, "past the end")]
    [InlineData(6, -MiB, "past the end")]
    public async Task A_bad_entry_is_told_by_who_meets_it_and_hurts_nobody_else(int state, long offset, string reason)
    {
        const long Block = 40_000_000;
        var bad = new VhdxGeometry(Huge, MiB).EntryOf(Block);
        var file = await HugeTableFile.CreateAsync(
            Huge, MiB, index => index == bad ? new BatEntry((BlockState)state, offset) : InOrder(index));
        await using var disk = await OpenAsync(file);
        Func<Task>[] requests =
        [
            () => ReadAsync(disk, Block * MiB, 512),
            () => disk.WriteAsync(Block * MiB, new byte[512], WriteFlags.None, None).AsTask(),
            () => disk.TrimAsync(Block * MiB, MiB, None).AsTask(),
            async () => await disk.GetExtentAsync(Block * MiB, MiB, None),
        ];
        foreach (var request in requests)
        {
            var error = await Assert.ThrowsAsync<StorageException>(request);
            Assert.Equal((StorageErrorKind.Corrupt, file.Path, BatOffset + (bad * 8)), (error.Kind, error.Path, error.Offset));
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        }

        await ReadAsync(disk, (Block + 1000) * MiB, 512);
        await disk.WriteAsync((Block - 1000) * MiB, new byte[512], WriteFlags.ForceUnitAccess, None);
    }

    /// <summary>An entry may point behind the end of the file until the file grows over it.</summary>
    [Fact(Timeout = 30_000)]
    public async Task A_new_block_is_not_shared_with_an_entry_that_pointed_behind_the_end()
    {
        const long Block = 40_000_000;
        var bad = new VhdxGeometry(Huge, MiB).EntryOf(Block);
        long end = 0;
        var file = await HugeTableFile.CreateAsync(
            Huge, MiB, index => index == bad ? new BatEntry(BlockState.FullyPresent, end) : index < 1000 ? default : InOrder(index));
        end = file.Length;
        await using var disk = await OpenTightAsync(file);
        await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.ForceUnitAccess, None);
        Assert.Equal(end + MiB, file.Length);
        var error = await Assert.ThrowsAsync<StorageException>(
            () => disk.WriteAsync(Block * MiB, new byte[4096], WriteFlags.None, None).AsTask());
        Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
        Assert.Equal(Pattern(1, 4096), await ReadAsync(disk, 0, 4096));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_page_that_cannot_be_read_fails_its_request_and_nothing_else()
    {
        var memory = await CreateAsync(4096L * MiB);
        await using (var first = await OpenAsync(memory))
        {
            for (long at = 0; at < first.Length; at += 500L * MiB)
                await first.WriteAsync(at, Pattern(9, 4096), WriteFlags.None, None);
        }

        var file = new FaultyFile(memory.Reopen());
        await using var disk = await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { TablePages = 0 }, None);
        await disk.WriteAsync(0, Pattern(1, 4096), WriteFlags.ForceUnitAccess, None);
        for (var nth = 1; nth <= 3; nth++)
        {
            file.Add(new FaultRule(FileOperation.Read)
            {
                Error = StorageErrorKind.IoFailed,
                Nth = nth,
                Where = (offset, _) => offset is >= BatOffset and < FirstBlockOffset,
            });
            var at = (600L + nth) * MiB;
            await Assert.ThrowsAsync<StorageException>(async () =>
            {
                for (var tries = 0; tries < 4; tries++)
                    await disk.WriteAsync(at + (tries * 600L * MiB), Pattern(2, 4096), WriteFlags.None, None);
            });
            file.Rules.Heal();
            await disk.WriteAsync(at, Pattern(3, 4096), WriteFlags.ForceUnitAccess, None);
            Assert.Equal(Pattern(3, 4096), await ReadAsync(disk, at, 4096));
        }
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1, 0)]
    [InlineData(2, 2)]
    [InlineData(3, 5)]
    public async Task Random_requests_over_pages_that_come_and_go_read_like_a_dictionary(int seed, int pages)
    {
        const int Writers = 4;
        const int Places = 160;
        var memory = await CreateAsync(20_000L * MiB);
        var model = new int[Places];
        for (var opening = 0; opening < 3; opening++)
        {
            await using (var disk = await VhdxDisk.OpenAsync(
                new SlowTable(memory.Reopen()), new VhdxOpenOptions { TablePages = pages }, None))
            {
                var start = opening;
                await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() => UseAsync(disk, writer, new Random((seed * 1000) + (start * 10) + writer)))));
                for (var place = 0; place < Places; place++)
                    await AssertAsync(disk, place);
            }

            var report = await VhdxCheck.RunAsync(memory.Reopen(readOnly: true), None);
            Assert.True(report.IsSound, string.Join("; ", report.Findings));
        }

        async Task UseAsync(VhdxDisk disk, int writer, Random random)
        {
            for (var step = 1; step < 300; step++)
            {
                var place = (random.Next(Places / Writers) * Writers) + writer;
                var action = random.Next(8);
                if (action < 3)
                {
                    model[place] = (seed * 100_000) + (writer * 1000) + step;
                    await disk.WriteAsync(At(place), Pattern(model[place], 512), WriteFlags.None, None);
                }
                else if (action == 3)
                {
                    model[place] = 0;
                    await disk.TrimAsync(At(place) / MiB * MiB, MiB, None);
                }
                else if (action == 4 && step % 10 == 0)
                {
                    await disk.FlushAsync(None);
                }
                else
                {
                    await AssertAsync(disk, place);
                }
            }
        }

        async Task AssertAsync(VhdxDisk disk, int place) => Assert.Equal(
            model[place] == 0 ? new byte[512] : Pattern(model[place], 512), await ReadAsync(disk, At(place), 512));

        static long At(int place) => ((place * 124L) + 3) * MiB;
    }

    private static BatEntry InOrder(long index) => new(BlockState.FullyPresent, HugeTableFile.FirstPlace + (index * MiB));

    private static async Task<byte[]> PeekAsync(HugeTableFile file, long offset, int length)
    {
        var bytes = new byte[length];
        await file.ReadAsync(offset, bytes, None);
        return bytes;
    }

    /// <summary>Answers reads of the table later, on another thread, so that they overlap everything else.</summary>
    private sealed class SlowTable(MemoryFile inner) : IStorageFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public bool IsReadOnly => inner.IsReadOnly;

        public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            await inner.ReadAsync(offset, buffer, cancellationToken);
            if (offset is >= BatOffset and < FirstBlockOffset)
                await Task.Yield();
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
            inner.WriteAsync(offset, buffer, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) => inner.SetLengthAsync(length, cancellationToken);

        public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
            inner.PunchHoleAsync(offset, length, cancellationToken);

        public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
            inner.AllocateZeroesAsync(offset, length, cancellationToken);

        public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken) =>
            inner.GetExtentAsync(offset, length, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
