using System.Globalization;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>The layer that is written to, merged into its parent in a real worker while guests write to it.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class LeafMergeTests(ITestOutputHelper output)
{
    private const int Size = 16 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0032-0000-4000-8000-000000000003");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx")]
    [InlineData("vhdx4k")]
    [InlineData("vhd")]
    public async Task Leaves_are_merged_one_after_the_other_under_load_until_the_base_is_the_disk(string format)
    {
        await using var disks = await ChainAsync(format, seed: 201);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 3, seed: 203);
        var quiet = await QuietAsync(disks);
        var stalls = new List<string>();
        foreach (var (layer, target, left) in new[] { ("r2-0", disks.Layer("r1-0"), 3), ("r1-0", disks.Layer("r0-0"), 2), ("r0-0", disks.Base(), 1) })
        {
            await Task.Delay(100, _ct);
            var stall = await writers.StallAsync(() => MergeAsync(disks, disks.Layer(layer)), _ct);
            stalls.Add($"{stall.TotalMilliseconds:F1}");
            Assert.False(File.Exists(disks.Layer(layer)));
            Assert.Equal(left, disks.Files().Length);
            var status = await disks.Worker.DiskAsync(_ct);
            Assert.Equal((target, left, MergeState.Merged, target, null), (status.Path, status.Layers!.Count, status.Merge!.State, status.Merge.Target, status.Problem));
            Assert.Equal((status.Merge.BytesTotal, true), (status.Merge.BytesDone, status.Merge.BytesTotal > 0));
            Assert.Equal((target, status.Format), (disks.Worker.Read().Disks[0].Disk.Path, disks.Worker.Read().Disks[0].Disk.Format));
            Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
            Assert.Null((await disks.Worker.AskAsync(new ForgetMerge("disk0", Job), _ct)).Problem);
        }

        // A layer comes on top again, as of a new checkpoint, and goes again.
        await disks.CutAsync("again");
        await MergeAsync(disks, disks.Layer("again-0"));
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Base()));
        Assert.True((await disks.ReadAsync(disks.Base())).AsSpan(Size / 2).SequenceEqual(quiet));
        await disks.JudgeAsync(disks.Base());
        output.WriteLine($"{format}: guests waited {string.Join(", ", stalls)} ms at most; {string.Join("; ", disks.Worker.Log.Split('\n').Where(line => line.Contains("opened again", StringComparison.Ordinal)))}");
    }

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx", "recorded", 0)]
    [InlineData("vhdx", "writable", 0)]
    [InlineData("vhdx", "leaf-closed", 0)]
    [InlineData("vhdx", "leaf-settled", 0)]
    [InlineData("vhdx", "leaf-committed", 0)]
    [InlineData("vhdx", "removed", 0)]
    [InlineData("vhdx", "leaf-settled", 2)]
    [InlineData("vhdx", "leaf-committed", 2)]
    [InlineData("vhd", "writable", 0)]
    [InlineData("vhd", "leaf-closed", 0)]
    [InlineData("vhd", "leaf-committed", 2)]
    [InlineData("vhd", "removed", 0)]
    public async Task Killed_at_any_step_the_next_worker_goes_on_and_finishes(string format, string step, int layersBelow)
    {
        await using var disks = await ChainAsync(format, seed: 211, layers: layersBelow + 1);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 2, seed: 213, TimeSpan.FromMilliseconds(1));
        var quiet = await QuietAsync(disks);
        disks.DieAt($"merge-{step}");
        await disks.SendAsync(new MergeLayer(Job, "disk0", disks.Layer($"r{layersBelow}-0")));
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged && disk.Problem is null && disk.Size > 0, _ct);
        Assert.True(disks.HasHappened);
        Assert.Equal(1, (await disks.Worker.StatusAsync(_ct)).Restarts);
        Assert.Equal(layersBelow + 1, disks.Files().Length);
        var leaf = layersBelow == 0 ? disks.Base() : disks.Layer($"r{layersBelow - 1}-0");
        Assert.Equal(leaf, disks.Worker.Read().Disks[0].Disk.Path);
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(leaf));
        Assert.True((await disks.ReadAsync(leaf)).AsSpan(Size / 2).SequenceEqual(quiet));
        await disks.JudgeAsync(leaf);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("leaf-closed", false)]
    [InlineData("leaf-settled", false)]
    [InlineData("leaf-committed", true)]
    public async Task A_step_that_fails_is_told_guests_write_on_and_the_same_request_finishes(string step, bool isCommitted)
    {
        await using var disks = await ChainAsync("vhdx", seed: 221);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 2, seed: 223, TimeSpan.FromMilliseconds(1));
        var quiet = await QuietAsync(disks);
        disks.FailAt($"merge-{step}");
        var merge = new MergeLayer(Job, "disk0", disks.Layer("r2-0"));
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        var waiting = await disks.Worker.WaitForAsync(disk => disk.Merge is { Problem: not null }, _ct);
        Assert.Equal((isCommitted ? MergeState.Removing : MergeState.Copying, ErrorCode.IoFailed), (waiting.Merge!.State, waiting.Merge.Problem!.Code));
        Assert.Equal(isCommitted ? disks.Layer("r1-0") : disks.Layer("r2-0"), waiting.Path);
        Assert.True(File.Exists(disks.Layer("r2-0")));

        // What is written between the failure and the next try is not lost.
        var before = writers.Acknowledged;
        while (writers.Acknowledged < before + 200)
            await Task.Delay(5, _ct);
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge is { State: MergeState.Merged, Problem: null }, _ct);
        Assert.Equal(3, disks.Files().Length);
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Layer("r1-0")));
        await disks.JudgeAsync(disks.Layer("r1-0"));
    }

    [Fact(Timeout = 600_000)]
    public async Task Killed_at_random_instants_nothing_that_was_acknowledged_is_lost()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : 240033;
        var rounds = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_LAYER_ROUNDS"), CultureInfo.InvariantCulture, out var wanted) ? wanted : 8;
        var random = new Random(seed);
        await using var disks = await LayeredDisks.StartAsync(seed % 2 == 0 ? "vhd" : "vhdx", Size, 1, _ct);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size, writers: 3, seed, TimeSpan.FromMilliseconds(1));
        var kills = 0;
        for (var round = 0; round < rounds; round++)
        {
            var job = new Guid(round, 8, 8, [1, 2, 3, 4, 5, 6, 7, 8]);
            await AskSurelyAsync(disks.Cut(job, $"r{round}"));
            await Task.Delay(random.Next(200), _ct);
            var leaf = (await disks.Worker.DiskAsync(_ct)).Path;
            var merge = new MergeLayer(job, "disk0", leaf, random.Next(2) == 0 ? null : 4 << 20);
            var sent = disks.SendAsync(merge);
            await Task.Delay(random.Next(60), _ct);
            kills += disks.Worker.KillWorker() ? 1 : 0;
            await sent;
            await AskSurelyAsync(merge);
            for (var more = random.Next(3); more > 0; more--)
            {
                await Task.Delay(random.Next(1500), _ct);
                kills += disks.Worker.KillWorker() ? 1 : 0;
            }

            await disks.Worker.WaitForAsync(disk => disk is { Problem: null, Size: > 0, Merge.State: MergeState.Merged }, _ct);
            Assert.Equal([Path.GetFileName(disks.Base())], disks.Files());
        }

        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Base()));
        await disks.JudgeAsync(disks.Base());
        output.WriteLine($"seed {seed}: {rounds} rounds, {kills} kills, {writers.Acknowledged} acknowledged writes, 0 lost");

        async Task AskSurelyAsync(WorkerRequest request)
        {
            await disks.Worker.WaitForAsync(disk => disk.Problem is null && disk.Size > 0, _ct);
            var reply = await disks.Worker.AskAsync(request, _ct);
            Assert.True(reply.Problem is null, $"{request}: {reply.Problem}\n{disks.Worker.Log}");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task A_merge_of_the_leaf_keeps_its_rate_is_refused_a_cut_and_can_be_cancelled()
    {
        await using var disks = await ChainAsync("vhdx", seed: 231);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 2, seed: 233, TimeSpan.FromMilliseconds(1));
        var path = disks.Layer("r2-0");
        var quiet = await QuietAsync(disks);
        Assert.Null((await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path, 256 << 10), _ct)).Problem);
        var begun = await disks.Worker.WaitForAsync(disk => disk.Merge?.BytesDone > 0, _ct);
        Assert.InRange(begun.Merge!.BytesDone, 1, begun.Merge.BytesTotal - 1);
        Assert.True(disks.Worker.KillWorker());
        var resumed = await disks.Worker.WaitForAsync(disk => disk.Size > 0 && disk.Merge?.BytesDone > 0, _ct);
        Assert.Equal(MergeState.Copying, resumed.Merge!.State);
        Assert.Equal(ErrorCode.WrongState, (await disks.Worker.AskAsync(disks.Cut(Guid.NewGuid(), "x"), _ct)).Problem?.Code);
        Assert.Equal(ErrorCode.Busy, (await disks.Worker.AskAsync(new MergeLayer(Guid.NewGuid(), "disk0", disks.Layer("r0-0")), _ct)).Problem?.Code);
        for (var again = 0; again < 2; again++)
            Assert.Null((await disks.Worker.AskAsync(new CancelMerge("disk0", Job), _ct)).Problem);
        Assert.Null((await disks.Worker.DiskAsync(_ct)).Merge);
        Assert.Equal((4, path), (disks.Files().Length, disks.Worker.Read().Disks[0].Disk.Path));
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));

        // Cancelled, the chain reads as before: it can be merged again, and then faster.
        Assert.Null((await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path, 1), _ct)).Problem);
        Assert.Null((await disks.Worker.AskAsync(new LimitMerge("disk0", Job, null), _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
        Assert.Equal(ErrorCode.NotFound, (await disks.Worker.AskAsync(new MergeLayer(Guid.NewGuid(), "disk0", path), _ct)).Problem?.Code);
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Layer("r1-0")));
        await disks.JudgeAsync(disks.Layer("r1-0"));
    }

    [Fact(Timeout = 120_000)]
    public async Task A_parent_with_another_child_is_refused_and_a_replaced_file_is_not_deleted()
    {
        await using var disks = await ChainAsync("vhdx", seed: 241);
        var sibling = disks.Layer("sibling");
        await ChildImage.CreateAsync(sibling, disks.Layer("r1-0"), null, null, PathMap.Empty, _ct);
        Assert.Equal(ErrorCode.InvalidRequest, (await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", disks.Layer("r2-0")), _ct)).Problem?.Code);
        Assert.Null((await disks.Worker.DiskAsync(_ct)).Merge);
        File.Delete(sibling);

        disks.FailAt("merge-leaf-committed");
        var merge = new MergeLayer(Job, "disk0", disks.Layer("r2-0"));
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge is { State: MergeState.Removing, Problem: not null }, _ct);
        File.Delete(disks.Layer("r2-0"));
        await File.WriteAllTextAsync(disks.Layer("r2-0"), "somebody else's", _ct);
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
        Assert.Equal("somebody else's", await File.ReadAllTextAsync(disks.Layer("r2-0"), _ct));
    }

    [Fact(Timeout = 120_000)]
    public async Task A_parent_without_room_fails_the_merge_and_guests_write_on_into_the_leaf()
    {
        await using var worker = WorkerUnderTest.Create("small/disk0.vhdx");
        await using var small = await SmallFileSystem.MountAsync(worker.File("small"), "size=48m", _ct);
        await worker.MakeImageAsync(worker.File("small/disk0.vhdx"), 64 << 20, _ct);
        worker.Supervise();
        Assert.Null((await worker.AskAsync(new AddLayers(Guid.NewGuid(), [new NewLayer("disk0", worker.File("a.avhdx"))]), _ct)).Problem);
        await FillAsync('a', 0);
        await small.FillAsync(2 << 20, _ct);
        Assert.Null((await worker.AskAsync(new MergeLayer(Job, "disk0", worker.File("a.avhdx")), _ct)).Problem);
        var failed = await worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Failed, _ct);
        Assert.Equal((ErrorCode.NoSpace, 2), (failed.Merge!.Problem!.Code, failed.Layers!.Count));
        await FillAsync('b', 40 << 20);
        small.MakeRoom();
        Assert.Null((await worker.AskAsync(new ForgetMerge("disk0", Job), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new MergeLayer(Job, "disk0", worker.File("a.avhdx")), _ct)).Problem);
        await worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
        await using (var disk = await worker.ConnectAsync("disk0", _ct))
        {
            var bytes = new byte[1 << 20];
            for (long at = 0; at < 56 << 20; at += bytes.Length)
            {
                await disk.ReadAsync(at, bytes, _ct);
                var expected = at < 16 << 20 ? (byte)'a' : at >= 40 << 20 ? (byte)'b' : (byte)0;
                Assert.True(bytes.AsSpan().IndexOfAnyExcept(expected) < 0, $"wrong at {at}");
            }
        }

        Assert.Equal(0, await worker.StopAsync(_ct));
        await Tools.RunAsync(["qemu-img", "check", "-f", "vhdx", worker.File("small/disk0.vhdx")], _ct);

        async Task FillAsync(char letter, long offset)
        {
            await using var disk = await worker.ConnectAsync("disk0", _ct);
            await disk.WriteAsync(offset, Enumerable.Repeat((byte)letter, 16 << 20).ToArray(), WriteFlags.None, _ct);
        }
    }

    /// <summary>A base and some layers, the last of which is written to; each changed at random, a quarter of the sectors and more.</summary>
    private async Task<LayeredDisks> ChainAsync(string format, int seed, int layers = 3)
    {
        var disks = await LayeredDisks.StartAsync(format, Size, 1, _ct);
        var (random, model) = (new Random(seed), new byte[Size]);
        for (var layer = 0; layer < layers; layer++)
        {
            await disks.ChangeAsync(random, model, 60);
            await disks.CutAsync($"r{layer}");
        }

        await disks.ChangeAsync(random, model, 40);
        Assert.True((await disks.ReadServedAsync()).AsSpan().SequenceEqual(model));
        return disks;
    }

    /// <summary>The half of the disk that no writer writes to.</summary>
    private static async Task<byte[]> QuietAsync(LayeredDisks disks) => (await disks.ReadServedAsync())[(Size / 2)..];

    private async Task MergeAsync(LayeredDisks disks, string path)
    {
        Assert.Null((await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path), _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
    }
}
