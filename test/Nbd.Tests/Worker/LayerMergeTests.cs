using System.Globalization;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Layers merged into their parents in a real worker, under guests that write.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class LayerMergeTests(ITestOutputHelper output)
{
    private const int Size = 16 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0024-0000-4000-8000-000000000003");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx", 0)]
    [InlineData("vhdx", 1)]
    [InlineData("vhdx4k", 0)]
    [InlineData("vhdx4k", 1)]
    [InlineData("vhd", 0)]
    [InlineData("vhd", 1)]
    public async Task A_layer_is_merged_under_load_and_nothing_is_seen_of_it(string format, int merged)
    {
        await using var disks = await ChainAsync(format, seed: 101);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 3, seed: 103, TimeSpan.FromMilliseconds(1));
        await Task.Delay(100, _ct);

        // Of the layers base, r0, r1 and r2 (the leaf): r0 into the base, or r1 into r0. In the second case the leaf gets another parent.
        var (path, target) = (disks.Layer($"r{merged}-0"), merged == 0 ? disks.Base() : disks.Layer("r0-0"));
        var quiet = await QuietAsync(disks);
        var stall = await writers.StallAsync(() => MergeAsync(disks, path), _ct);
        Assert.Equal(disks.Files(), new[] { "disk0" + Path.GetExtension(disks.Base()), Path.GetFileName(disks.Layer("r0-0")), Path.GetFileName(disks.Layer("r1-0")), Path.GetFileName(disks.Layer("r2-0")) }
            .Where(name => name != Path.GetFileName(path)).Order(StringComparer.Ordinal));
        var status = await disks.Worker.DiskAsync(_ct);
        Assert.Equal((3, MergeState.Merged, target), (status.Layers!.Count, status.Merge!.State, status.Merge.Target));
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Layer("r2-0")));
        Assert.True((await disks.ReadAsync(disks.Layer("r2-0"))).AsSpan(Size / 2).SequenceEqual(quiet));
        await disks.JudgeAsync(disks.Layer("r2-0"));
        output.WriteLine($"{format}: a guest waited {stall.TotalMilliseconds:F1} ms at most; {string.Join("; ", disks.Worker.Log.Split('\n').Where(line => line.Contains("opened again", StringComparison.Ordinal)))}");
    }

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx", "recorded", 1)]
    [InlineData("vhdx", "writable", 1)]
    [InlineData("vhdx", "copied", 1)]
    [InlineData("vhdx", "metadata", 1)]
    [InlineData("vhdx", "relink", 1)]
    [InlineData("vhdx", "identity", 1)]
    [InlineData("vhdx", "settled", 1)]
    [InlineData("vhdx", "removed", 1)]
    [InlineData("vhdx", "identity", 0)]
    [InlineData("vhd", "writable", 1)]
    [InlineData("vhd", "relink", 1)]
    [InlineData("vhd", "identity", 1)]
    [InlineData("vhd", "settled", 1)]
    [InlineData("vhd", "removed", 0)]
    public async Task Killed_at_any_step_the_next_worker_goes_on_and_finishes(string format, string step, int merged)
    {
        await using var disks = await ChainAsync(format, seed: 111);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 2, seed: 113, TimeSpan.FromMilliseconds(2));
        var path = disks.Layer($"r{merged}-0");
        var quiet = await QuietAsync(disks);
        disks.DieAt($"merge-{step}");
        await disks.SendAsync(new MergeLayer(Job, "disk0", path));
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged && disk.Problem is null && disk.Size > 0, _ct);
        Assert.True(disks.HasHappened);
        Assert.Equal(1, (await disks.Worker.StatusAsync(_ct)).Restarts);
        Assert.Equal(3, disks.Files().Length);
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Layer("r2-0")));
        Assert.True((await disks.ReadAsync(disks.Layer("r2-0"))).AsSpan(Size / 2).SequenceEqual(quiet));
        await disks.JudgeAsync(disks.Layer("r2-0"));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("metadata")]
    [InlineData("relink")]
    [InlineData("identity")]
    [InlineData("settled")]
    public async Task A_step_that_fails_is_told_and_the_same_request_finishes(string step)
    {
        await using var disks = await ChainAsync("vhdx", seed: 121);
        var quiet = await QuietAsync(disks);
        disks.FailAt($"merge-{step}");
        var merge = new MergeLayer(Job, "disk0", disks.Layer("r1-0"));
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        var waiting = await disks.Worker.WaitForAsync(disk => disk.Merge is { Problem: not null }, _ct);
        Assert.Equal((MergeState.Finishing, ErrorCode.IoFailed), (waiting.Merge!.State, waiting.Merge.Problem!.Code));
        Assert.Equal(ErrorCode.WrongState, (await disks.Worker.AskAsync(new CancelMerge("disk0", Job), _ct)).Problem?.Code);
        Assert.Equal(ErrorCode.WrongState, (await disks.Worker.AskAsync(new ForgetMerge("disk0", Job), _ct)).Problem?.Code);
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
        var done = await disks.Worker.DiskAsync(_ct);
        Assert.Equal((MergeState.Merged, null), (done.Merge!.State, done.Merge.Problem));
        Assert.Equal(3, disks.Files().Length);
        await disks.Worker.AskAsync(new ForgetMerge("disk0", Job), _ct);
        Assert.Null((await disks.Worker.DiskAsync(_ct)).Merge);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        await disks.JudgeAsync(disks.Layer("r2-0"));
    }

    [Fact(Timeout = 600_000)]
    public async Task Killed_at_random_instants_of_cuts_and_merges_nothing_is_lost_or_left()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : 240025;
        var rounds = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_LAYER_ROUNDS"), CultureInfo.InvariantCulture, out var wanted) ? wanted : 8;
        var random = new Random(seed);
        await using var disks = await LayeredDisks.StartAsync(seed % 2 == 0 ? "vhd" : "vhdx", Size, 1, _ct);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size, writers: 3, seed, TimeSpan.FromMilliseconds(2));
        var kills = 0;
        for (var round = 0; round < rounds; round++)
        {
            var job = new Guid(round, 7, 7, [1, 2, 3, 4, 5, 6, 7, 8]);
            await KillDuringAsync(disks.Cut(job, $"r{round}"), 40);
            await AskSurelyAsync(disks.Cut(job, $"r{round}"));
            await Task.Delay(random.Next(100), _ct);
            var layers = (await disks.Worker.DiskAsync(_ct)).Layers!;
            if (layers.Count < 3)
                continue;
            var merge = new MergeLayer(job, "disk0", layers[random.Next(1, layers.Count - 1)]);
            await KillDuringAsync(merge, 40);
            await AskSurelyAsync(merge);
            for (var more = random.Next(3); more > 0; more--)
            {
                await Task.Delay(random.Next(1200), _ct);
                kills += disks.Worker.KillWorker() ? 1 : 0;
            }

            await disks.Worker.WaitForAsync(disk => disk is { Problem: null, Size: > 0, Merge.State: MergeState.Merged }, _ct);
            Assert.Equal((await disks.Worker.DiskAsync(_ct)).Layers!.Select(Path.GetFileName).Order(StringComparer.Ordinal), disks.Files());
        }

        var leaf = (await disks.Worker.DiskAsync(_ct)).Path;
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(leaf));
        await disks.JudgeAsync(leaf);
        output.WriteLine($"seed {seed}: {rounds} rounds, {kills} kills, {writers.Acknowledged} acknowledged writes, 0 lost");

        async Task KillDuringAsync(WorkerRequest request, int within)
        {
            var sent = disks.SendAsync(request);
            await Task.Delay(random.Next(within), _ct);
            kills += disks.Worker.KillWorker() ? 1 : 0;
            await sent;
        }

        async Task AskSurelyAsync(WorkerRequest request)
        {
            await disks.Worker.WaitForAsync(disk => disk.Problem is null && disk.Size > 0, _ct);
            var reply = await disks.Worker.AskAsync(request, _ct);
            Assert.True(reply.Problem is null, $"{request}: {reply.Problem}\n{disks.Worker.Log}");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task A_merge_keeps_its_rate_goes_on_where_it_was_after_a_kill_and_can_be_cancelled()
    {
        await using var disks = await ChainAsync("vhdx", seed: 131);
        var path = disks.Layer("r1-0");
        var quiet = await QuietAsync(disks);
        Assert.Equal(ErrorCode.InvalidRequest, (await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path, 0), _ct)).Problem?.Code);
        Assert.Null((await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path, 256 << 10), _ct)).Problem);
        await disks.Worker.WaitForAsync(_ => disks.Worker.Read().Disks[0].Merge!.CopiedTo > 0, _ct);
        Assert.Equal(MergeState.Copying, (await disks.Worker.DiskAsync(_ct)).Merge!.State);
        Assert.True(disks.Worker.KillWorker());
        var resumed = await disks.Worker.WaitForAsync(disk => disk.Size > 0 && disk.Merge?.BytesTotal > 0, _ct);
        Assert.InRange(resumed.Merge!.BytesDone, 1, resumed.Merge.BytesTotal - 1);
        Assert.Equal(ErrorCode.WrongState, (await disks.Worker.AskAsync(disks.Cut(Guid.NewGuid(), "x"), _ct)).Problem?.Code);
        var other = new MergeLayer(Guid.NewGuid(), "disk0", disks.Layer("r0-0"));
        Assert.Equal(ErrorCode.Busy, (await disks.Worker.AskAsync(other, _ct)).Problem?.Code);
        for (var again = 0; again < 2; again++)
            Assert.Null((await disks.Worker.AskAsync(new CancelMerge("disk0", Job), _ct)).Problem);
        Assert.Null((await disks.Worker.DiskAsync(_ct)).Merge);
        Assert.Equal(4, disks.Files().Length);
        Assert.True((await QuietAsync(disks)).AsSpan().SequenceEqual(quiet));

        // Cancelled, everything is as before: it can be merged again, and then faster.
        Assert.Null((await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path, 1), _ct)).Problem);
        Assert.Null((await disks.Worker.AskAsync(new LimitMerge("disk0", Job, null), _ct)).Problem);
        await disks.Worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        await disks.JudgeAsync(disks.Layer("r2-0"));
    }

    [Fact(Timeout = 120_000)]
    public async Task What_is_no_layer_to_merge_is_refused_and_nothing_changes()
    {
        await using var disks = await ChainAsync("vhdx", seed: 141);
        await RefusedAsync(ErrorCode.InvalidRequest, disks.Base());
        await RefusedAsync(ErrorCode.NotFound, disks.Layer("other"));

        // Another child of the layer below would lose its parent.
        var sibling = disks.Layer("sibling");
        await ChildImage.CreateAsync(sibling, disks.Layer("r0-0"), null, null, PathMap.Empty, _ct);
        await RefusedAsync(ErrorCode.InvalidRequest, disks.Layer("r1-0"));
        File.Delete(sibling);

        // Somebody reads the layer that would be written to, another VM with the same parent, say.
        await using (LocalFile.Open(disks.Layer("r0-0"), readOnly: true))
            await RefusedAsync(ErrorCode.Busy, disks.Layer("r1-0"));
        await MergeAsync(disks, disks.Layer("r1-0"));

        async Task RefusedAsync(ErrorCode code, string path)
        {
            var reply = await disks.Worker.AskAsync(new MergeLayer(Job, "disk0", path), _ct);
            Assert.True(code == reply.Problem?.Code, $"{reply.Problem} instead of {code}");
            var disk = await disks.Worker.DiskAsync(_ct);
            Assert.Equal((4, null, null), (disk.Layers!.Count, disk.Merge, disk.Problem));
            Assert.Null(disks.Worker.Read().Disks[0].Merge);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task A_target_without_room_fails_the_merge_and_the_chain_goes_on()
    {
        await using var worker = WorkerUnderTest.Create("small/disk0.vhdx");
        var folder = worker.File("small");
        await using var small = await SmallFileSystem.MountAsync(folder, "size=48m", _ct);
        await worker.MakeImageAsync(worker.File("small/disk0.vhdx"), 64 << 20, _ct);
        worker.Supervise();
        foreach (var name in new[] { "a", "b" })
        {
            Assert.Null((await worker.AskAsync(new AddLayers(Guid.NewGuid(), [new NewLayer("disk0", worker.File($"{name}.avhdx"))]), _ct)).Problem);
            await using var disk = await worker.ConnectAsync("disk0", _ct);
            await disk.WriteAsync(name == "a" ? 0 : 40 << 20, Enumerable.Repeat((byte)name[0], 16 << 20).ToArray(), WriteFlags.None, _ct);
        }

        await small.FillAsync(2 << 20, _ct);
        Assert.Null((await worker.AskAsync(new MergeLayer(Job, "disk0", worker.File("a.avhdx")), _ct)).Problem);
        var failed = await worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Failed, _ct);
        Assert.Equal(ErrorCode.NoSpace, failed.Merge!.Problem!.Code);
        Assert.Equal(3, failed.Layers!.Count);
        await using (var disk = await worker.ConnectAsync("disk0", _ct))
        {
            var bytes = new byte[1 << 20];
            for (long at = 0; at < 56 << 20; at += bytes.Length)
            {
                await disk.ReadAsync(at, bytes, _ct);
                var expected = at < 16 << 20 ? (byte)'a' : at >= 40 << 20 ? (byte)'b' : (byte)0;
                Assert.True(bytes.AsSpan().IndexOfAnyExcept(expected) < 0, $"wrong at {at}");
            }

            await disk.WriteAsync(0, bytes, WriteFlags.None, _ct);
        }

        small.MakeRoom();
        Assert.Null((await worker.AskAsync(new ForgetMerge("disk0", Job), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new MergeLayer(Job, "disk0", worker.File("a.avhdx")), _ct)).Problem);
        await worker.WaitForAsync(disk => disk.Merge?.State == MergeState.Merged, _ct);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await Tools.RunAsync(["qemu-img", "check", "-f", "vhdx", worker.File("small/disk0.vhdx")], _ct);
    }

    /// <summary>A base and three layers, the last of which is written to; each changed at random, a quarter of the sectors and more.</summary>
    private async Task<LayeredDisks> ChainAsync(string format, int seed)
    {
        var disks = await LayeredDisks.StartAsync(format, Size, 1, _ct);
        var (random, model) = (new Random(seed), new byte[Size]);
        for (var layer = 0; layer < 3; layer++)
        {
            await disks.ChangeAsync(random, model, 60);
            await disks.CutAsync($"r{layer}");
        }

        await disks.ChangeAsync(random, model, 20);
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
