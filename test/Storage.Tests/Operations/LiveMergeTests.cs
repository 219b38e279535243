using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats;
using Godwit.Storage.Limits;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Chains;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>A layer merged into its parent while the chain is read and written.</summary>
public sealed class LiveMergeTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX", 1)]
    [InlineData("VHDX", 2)]
    [InlineData("VHDX", 3)]
    [InlineData("VHD", 1)]
    [InlineData("VHD", 3)]
    public async Task Whoever_reads_meanwhile_sees_nothing_of_it_and_the_layer_is_gone_in_the_end(string family, int merged)
    {
        using var files = await ChainFiles.CreateAsync(family, 5, seed: 30 + merged);
        var chain = await OpenAsync(files, merged);
        var (path, target, above) = (chain.Layers[merged].Path, chain.Layers[merged + 1].Path, chain.Layers[merged - 1].Path);
        using var fence = new Fence(TimeProvider.System, null);
        using var ended = new CancellationTokenSource();
        await using (chain.Device)
        {
            var reading = Task.WhenAll(Enumerable.Range(0, 3).Select(reader => Task.Run(() => ReadAsync(chain.Device, files.Contents[^1], reader, ended.Token))));
            var merge = new LiveMerge(chain, merged, Options(fence));
            await merge.RunAsync(None);
            Assert.Equal(merge.Progress.Total, merge.Progress.Done);
            Assert.InRange(merge.Progress.Total, 1, ChainFiles.Size);
            await ended.CancelAsync();
            await reading;
        }

        // Before and after the last steps, which may be done twice.
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        for (var again = 0; again < 2; again++)
        {
            await ChainMerge.SettleAsync(path, target, above, null, None);
            AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        }

        File.Delete(path);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        var left = await ChainCheck.RunAsync(files.Leaf, new ChainOptions(), None);
        Assert.Equal(4, left.Count);
        Assert.All(left, layer => Assert.Equal(0, layer.Report.Errors));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task What_ends_halfway_leaves_the_chain_as_it_was_and_goes_on_where_it_was_stable(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 4, seed: 41);
        using var fence = new Fence(TimeProvider.System, null);
        long stable = 0, total;
        var clock = new JumpingClock();
        var chain = await OpenAsync(files, 2);
        await using (chain.Device)
        {
            using var stop = new CancellationTokenSource();
            var options = Options(fence) with
            {
                Time = clock,
                OnStable = end =>
                {
                    stable = end;
                    stop.Cancel();
                },
            };
            var merge = new LiveMerge(chain, 2, options);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => merge.RunAsync(stop.Token));
            total = merge.Progress.Total;
        }

        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
        Assert.InRange(stable, 1, ChainFiles.Size - 1);
        chain = await OpenAsync(files, 2);
        var (path, target, above) = (chain.Layers[2].Path, chain.Layers[3].Path, chain.Layers[1].Path);
        await using (chain.Device)
        {
            var rest = new LiveMerge(chain, 2, Options(fence) with { From = stable });
            await rest.RunAsync(None);
            Assert.Equal((total, total), rest.Progress);
        }

        await ChainMerge.SettleAsync(path, target, above, null, None);
        AssertSame(files.Contents[^1], await ChainFiles.ReadAsync(files.Leaf));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_fence_that_holds_holds_the_copy_and_a_revoked_one_ends_it()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 42);
        using var fence = new Fence(TimeProvider.System, null);
        var chain = await OpenAsync(files, 1);
        await using var device = chain.Device;
        await fence.HoldAsync(None);
        var before = await File.ReadAllBytesAsync(files.Paths[0]);
        var running = new LiveMerge(chain, 1, Options(fence)).RunAsync(None);
        Assert.False(running.IsCompleted);
        fence.Revoke("somebody else has it");
        var error = await Assert.ThrowsAsync<StorageException>(() => running);
        Assert.Equal(StorageErrorKind.Closed, error.Kind);
        AssertSame(before, await File.ReadAllBytesAsync(files.Paths[0]));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_chain_without_a_writable_layer_is_not_merged()
    {
        using var files = await ChainFiles.CreateAsync("VHDX", 3, seed: 43);
        using var fence = new Fence(TimeProvider.System, null);
        var chain = await DiskChain.OpenAsync(files.Leaf, new ChainOptions(), None);
        await using var device = chain.Device;
        Assert.Throws<ArgumentException>(() => new LiveMerge(chain, 1, Options(fence)));
        await LiveMerge.CheckAsync(chain, 1, new ChainOptions(), None);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await LiveMerge.CheckAsync(chain, 2, new ChainOptions(), None));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task An_image_made_over_an_open_disk_fits_as_long_as_that_keeps_its_identity(string family)
    {
        using var files = await ChainFiles.CreateAsync(family, 2, seed: 44);
        var chain = await DiskChain.OpenAsync(files.Leaf, new ChainOptions(), None);
        var child = files.File("child." + family);
        ChainLayer before, after;
        await using (chain.Device)
        {
            before = chain.Leaf;
            await chain.Device.WriteAsync(0, new byte[4096], WriteFlags.None, None);
            after = await ChildImage.CreateOverAsync(child, chain, None);
            await chain.Device.WriteAsync(4096, Enumerable.Repeat((byte)7, 4096).ToArray(), WriteFlags.None, None);
        }

        Assert.Equal(family == "VHDX", before.Description.Linkage != after.Description.Linkage);
        var read = await ChainFiles.ReadAsync(child);
        AssertSame(await ChainFiles.ReadAsync(files.Leaf), read);
        Assert.Equal(7, read[4096]);
        Assert.Equal(family == "VHDX", (await DiskImage.DescribeAsync(child, None)).Identifier == before.Description.Identifier);
    }

    private static async Task<DiskChain> OpenAsync(ChainFiles files, int merged) => await DiskChain.OpenAsync(
        files.Leaf, new ChainOptions { WritableLayer = files.Paths[files.Paths.Count - 2 - merged] }, None);

    private static LiveMergeOptions Options(Fence fence) => new()
    {
        Limit = new RateLimit(null, TimeProvider.System),
        Time = TimeProvider.System,
        Fence = fence,
    };

    private static async Task ReadAsync(BlockDevice disk, byte[] expected, int seed, CancellationToken ended)
    {
        var random = new Random(seed);
        var buffer = new byte[256 << 10];
        do
        {
            var length = random.Next(1, buffer.Length / 512) * 512;
            var offset = random.Next((expected.Length - length) / 512) * 512;
            await disk.ReadAsync(offset, buffer.AsMemory(0, length), None);
            Assert.True(buffer.AsSpan(0, length).SequenceEqual(expected.AsSpan(offset, length)), $"{length} bytes at {offset} read otherwise");
        }
        while (!ended.IsCancellationRequested);
    }

    private static void AssertSame(byte[] expected, byte[] read) =>
        Assert.True(expected.AsSpan().SequenceEqual(read), $"differs at {expected.AsSpan().CommonPrefixLength(read)}");

    /// <summary>Ten seconds later whenever it is looked at.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        private long _now;

        public override long GetTimestamp() => Interlocked.Add(ref _now, 10 * TimestampFrequency);
    }
}
