using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Limits;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Chains;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>The leaf of a chain merged into its parent while it is written to.</summary>
public sealed class LeafMergeTests
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX", 2, 61)]
    [InlineData("VHDX", 5, 62)]
    [InlineData("VHD", 2, 63)]
    [InlineData("VHD", 4, 64)]
    public async Task Whatever_is_written_meanwhile_is_in_the_parent_too_in_the_end(string family, int layers, int seed)
    {
        using var files = await ChainFiles.CreateAsync(family, layers, seed);
        using var fence = new Fence(TimeProvider.System, null);
        var model = (byte[])files.Contents[^1].Clone();
        var chain = await DiskChain.OpenAsync(files.Leaf, new ChainOptions(), None);
        await using (chain.Device)
            await LiveMerge.CheckAsync(chain, 0, new ChainOptions(), None);
        chain = await OpenAsync(files);
        var (leaf, parent, format) = (chain.Layers[0].Path, chain.Layers[1].Path, chain.Layers[1].Description.Format);
        await using (var disk = new LeafMergeDisk(chain))
        {
            using var ended = new CancellationTokenSource();

            // Each writer has a third of the disk; windows of two MiB let the line pass through all of them.
            var writing = Enumerable.Range(0, 3).Select(writer => Task.Run(() => WriteAsync(disk, model, writer, seed, ended.Token))).ToArray();
            var merge = new LeafMerge(disk, Options(fence) with { Limit = new RateLimit(12 << 20, TimeProvider.System) }) { Window = 2 * MiB };
            await merge.RunAsync(None);
            Assert.Equal((true, merge.Progress.Total), (merge.Progress.Total > 0, merge.Progress.Done));
            await Task.Delay(50);
            await ended.CancelAsync();
            Assert.All(await Task.WhenAll(writing), changes => Assert.True(changes > 10));
            Assert.Null(disk.Failure);
        }

        AssertSame(model, await ChainFiles.ReadAsync(leaf));
        for (var again = 0; again < 2; again++)
        {
            await ChainMerge.SettleLeafAsync(leaf, parent, format);
            AssertSame(model, await ChainFiles.ReadAsync(leaf));
            AssertSame(model, await ChainFiles.ReadAsync(parent));
        }

        foreach (var layer in await ChainCheck.RunAsync(parent, new ChainOptions(), None))
            Assert.Equal(0, layer.Report.Errors);
    }

    [Fact(Timeout = 60_000)]
    public async Task Once_the_parent_is_the_disk_the_leaf_does_not_open_over_it_any_more()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 2, seed: 71);
        var chain = await DiskChain.OpenAsync(files.Paths[0], new ChainOptions(), None);
        await using (chain.Device)
            await chain.DisownChildrenAsync();
        var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskChain.OpenAsync(files.Leaf, new ChainOptions(), None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
        AssertSame(files.Contents[0], await ChainFiles.ReadAsync(files.Paths[0]));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_that_fails_is_told_of_and_never_to_the_guest()
    {
        var leaf = new ReferenceDisk(4 * MiB);
        var parent = new FaultyDisk(new ReferenceDisk(4 * MiB));
        await using var disk = new LeafMergeDisk(leaf, parent, isCopied: true);
        await disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
        Assert.Null(disk.Failure);
        parent.Rules.Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.IoFailed });
        await disk.WriteAsync(4096, Filled(7, 4096), WriteFlags.ForceUnitAccess, None);
        Assert.IsType<StorageException>(disk.Failure);
        Assert.Throws<StorageException>(disk.ThrowIfFailed);
        await disk.WriteAsync(8192, Filled(8, 4096), WriteFlags.None, None);
        await disk.FlushAsync(None);
        await Assert.ThrowsAsync<StorageException>(async () => await disk.FlushParentAsync());
        Assert.Equal((7, 8), (leaf.ToArray()[4096], leaf.ToArray()[8192]));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_a_failed_write_left_in_the_leaf_is_in_the_parent_as_well()
    {
        var inner = new ReferenceDisk(4 * MiB);
        var leaf = new FaultyDisk(inner);
        var parent = new ReferenceDisk(4 * MiB);
        await using var disk = new LeafMergeDisk(leaf, parent, isCopied: true);
        await disk.WriteAsync(0, Filled(1, 64 << 10), WriteFlags.None, None);
        leaf.Rules.Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.IoFailed, KeepBytes = 8192 });
        await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, Filled(2, 64 << 10), WriteFlags.None, None));
        Assert.Null(disk.Failure);
        Assert.Equal((2, 1), (inner.ToArray()[0], inner.ToArray()[8192]));
        AssertSame(inner.ToArray(), parent.ToArray());
    }

    [Theory(Timeout = 120_000)]
    [InlineData(81)]
    [InlineData(82)]
    public async Task After_a_power_cut_the_leaf_has_what_was_flushed_and_nothing_that_was_never_written(int seed)
    {
        // Both files lose some of what was not flushed, each its own part; the parent is flushed at other times than the leaf.
        const int size = 4 * MiB;
        var bottom = new ReferenceDisk(size);
        var (lower, upper) = (new CrashFile(await CreateAsync("lower", size)), new CrashFile(await CreateAsync("upper", size)));
        var random = new Random(seed);
        var possible = Enumerable.Range(0, size / 512).Select(_ => new HashSet<byte> { 0 }).ToArray();
        var parent = await VhdxDisk.OpenAsync(lower, new VhdxOpenOptions { Parent = bottom, KeepsDataWriteGuid = true }, None);
        var leaf = await VhdxDisk.OpenAsync(upper, new VhdxOpenOptions { Parent = new BorrowedDisk(parent) }, None);
        var disk = new LeafMergeDisk(leaf, parent, isCopied: true);
        for (byte change = 1; change < 60; change++)
        {
            var (offset, length) = (random.Next(size / 512 - 128) * 512L, random.Next(1, 128) * 512);
            await disk.WriteAsync(offset, Filled(change, length), WriteFlags.None, None);
            for (var sector = offset / 512; sector < (offset + length) / 512; sector++)
                possible[sector].Add(change);
            if (random.Next(4) == 0)
                await disk.FlushParentAsync();
            if (random.Next(6) == 0)
            {
                await disk.FlushAsync(None);
                await NoteFlushedAsync();
            }

            foreach (var left in new[] { PowerCut.FlushedOnly, PowerCut.RandomSubset })
                await JudgeAsync(lower.AfterPowerCut(lower.EventCount, left, change), upper.AfterPowerCut(upper.EventCount, left, change * 7), $"power cut after {change}");
            await JudgeAsync(lower.AfterPowerCut(lower.EventCount, PowerCut.RandomSubset, change), upper.AfterPowerCut(upper.EventCount, PowerCut.FlushedOnly), $"power cut after {change}, the leaf loses all");
            AssertSame(await VhdxSample.ReadAsync(disk, 0, size), await ReadAsync(lower.AfterKill(lower.EventCount), upper.AfterKill(upper.EventCount)));
        }

        async Task NoteFlushedAsync()
        {
            var now = await VhdxSample.ReadAsync(disk, 0, size);
            for (var sector = 0; sector < possible.Length; sector++)
                possible[sector] = [now[sector * 512]];
        }

        async Task JudgeAsync(MemoryFile below, MemoryFile above, string what)
        {
            var read = await ReadAsync(below, above);
            for (var sector = 0; sector < possible.Length; sector++)
            {
                var bytes = read.AsSpan(sector * 512, 512);
                Assert.True(bytes.IndexOfAnyExcept(bytes[0]) < 0 && possible[sector].Contains(bytes[0]), $"{what}: sector {sector} is {bytes[0]}, not one of {string.Join(", ", possible[sector])}");
            }
        }

        async Task<byte[]> ReadAsync(MemoryFile below, MemoryFile above)
        {
            var target = await VhdxDisk.OpenAsync(below, new VhdxOpenOptions { Parent = bottom, KeepsDataWriteGuid = true }, None);
            await using var chain = await VhdxDisk.OpenAsync(above, new VhdxOpenOptions { Parent = new BorrowedDisk(target) }, None);
            return await VhdxSample.ReadAsync(chain, 0, size);
        }
    }

    private static async Task<MemoryFile> CreateAsync(string name, long size)
    {
        var file = new MemoryFile(path: name);
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = MiB, Parent = VhdxSample.SomeParent }, None);
        return file;
    }

    private static async Task<DiskChain> OpenAsync(ChainFiles files) => await DiskChain.OpenAsync(
        files.Leaf, new ChainOptions { WritableLayer = files.Paths[^2] }, None);

    private static LiveMergeOptions Options(Fence fence) => new()
    {
        Limit = new RateLimit(null, TimeProvider.System),
        Time = TimeProvider.System,
        Fence = fence,
    };

    private static async Task<int> WriteAsync(BlockDevice disk, byte[] model, int writer, int seed, CancellationToken ended)
    {
        var random = new Random((seed * 10) + writer);
        var (from, sectors) = (ChainFiles.Size / 3 / 512 * writer, ChainFiles.Size / 3 / 512);
        var read = new byte[256 << 10];
        var changes = 0;
        for (; !ended.IsCancellationRequested; changes++)
        {
            var length = random.Next(1, changes % 11 == 0 ? 512 : 64) * 512;
            var offset = (from + random.Next(sectors - (length / 512))) * 512;
            var part = model.AsMemory(offset, length);
            switch (random.Next(4))
            {
                case 0:
                    await disk.TrimAsync(offset, length, None);
                    part.Span.Clear();
                    break;
                case 1:
                    await disk.WriteZeroesAsync(offset, length, random.Next(2) == 0 ? WriteFlags.None : WriteFlags.KeepAllocated, None);
                    part.Span.Clear();
                    break;
                default:
                    random.NextBytes(part.Span);
                    await disk.WriteAsync(offset, part, WriteFlags.None, None);
                    break;
            }

            await disk.ReadAsync(offset, read.AsMemory(0, length), None);
            Assert.True(read.AsSpan(0, length).SequenceEqual(part.Span), $"{length} bytes at {offset} read otherwise");
            await Task.Yield();
        }

        return changes;
    }

    private static byte[] Filled(byte fill, int length) => [.. Enumerable.Repeat(fill, length)];

    private static void AssertSame(byte[] expected, byte[] read) =>
        Assert.True(expected.AsSpan().SequenceEqual(read), $"differs at {expected.AsSpan().CommonPrefixLength(read)}");
}
