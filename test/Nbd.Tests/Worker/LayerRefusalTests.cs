using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>What a worker does not put on top of a disk, or merge, and what it leaves then: nothing.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class LayerRefusalTests(ITestOutputHelper output)
{
    private const long Size = 8 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0024-0000-4000-8000-000000000002");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_raw_disk_gets_no_layer()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await RefusedAsync(worker, ErrorCode.Unsupported, new NewLayer("disk0", worker.File("a.avhdx")));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(worker.Config)!, "*avhd*"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_path_that_is_none_or_taken_or_of_another_kind_is_refused_and_nothing_changes()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        var worker = disks.Worker;
        var good = new NewLayer("disk1", disks.Layer("good"));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", "relative.avhdx"));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", worker.File("x/../a.avhdx")));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", worker.File("a.vhdx")));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", worker.File("a.avhd")));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", null!));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, new NewLayer("disk0", good.Path));
        await RefusedAsync(worker, ErrorCode.InvalidRequest, good, good);
        await RefusedAsync(worker, ErrorCode.InvalidRequest);
        await RefusedAsync(worker, ErrorCode.NotFound, good, new NewLayer("disk0", worker.File("missing/a.avhdx")));
        await RefusedAsync(worker, ErrorCode.NotFound, good, new NewLayer("other", worker.File("a.avhdx")));
        await File.WriteAllTextAsync(disks.Layer("taken"), "somebody else's", _ct);
        await RefusedAsync(worker, ErrorCode.AlreadyExists, good, new NewLayer("disk0", disks.Layer("taken")));
        Assert.Equal("somebody else's", await File.ReadAllTextAsync(disks.Layer("taken"), _ct));
        Assert.Equal(["disk0.vhdx", "disk1.vhdx", "taken.avhdx"], disks.Files());
    }

    [Fact(Timeout = 60_000)]
    public async Task A_folder_outside_those_the_host_allows_is_refused()
    {
        await using var worker = WorkerUnderTest.Create("in/disk0.vhdx");
        Directory.CreateDirectory(worker.File("in"));
        Directory.CreateDirectory(worker.File("out"));
        await worker.MakeImageAsync(worker.File("in/disk0.vhdx"), Size, _ct);
        worker.AllowOnly(worker.File("in"));
        worker.Supervise();
        await worker.StatusAsync(_ct);
        await RefusedAsync(worker, ErrorCode.AccessDenied, new NewLayer("disk0", worker.File("out/a.avhdx")));
        Assert.Empty(Directory.GetFiles(worker.File("out")));
        Assert.Null((await worker.AskAsync(new AddLayers(Job, [new NewLayer("disk0", worker.File("in/a.avhdx"))]), _ct)).Problem);
        Assert.Equal(2, (await worker.DiskAsync(_ct)).Layers!.Count);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_is_mirrored_gets_no_layer_and_one_with_layers_is_not_mirrored()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        var mirror = new StartMirror("disk0", Job, disks.Worker.File("moved.vhdx"), 1);
        Assert.Null((await disks.Worker.AskAsync(mirror, _ct)).Problem);
        await RefusedAsync(disks.Worker, ErrorCode.WrongState, new NewLayer("disk0", disks.Layer("a")));
        Assert.Null((await disks.Worker.AskAsync(new CancelMirror("disk0", Job), _ct)).Problem);
        await disks.CutAsync("a");
        Assert.Equal(ErrorCode.Unsupported, (await disks.Worker.AskAsync(mirror, _ct)).Problem?.Code);
        Assert.Equal(["a-0.avhdx", "disk0.vhdx"], disks.Files());
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_was_moved_gets_its_layers_where_it_is_now()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        var (random, model) = (new Random(5), new byte[Size]);
        await disks.ChangeAsync(random, model, 20);
        var target = disks.Worker.File("moved.vhdx");
        await disks.Worker.AskAsync(new StartMirror("disk0", Job, target, null), _ct);
        await disks.Worker.WaitForAsync(disk => disk.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await disks.Worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem);
        await disks.CutAsync("a");
        await disks.ChangeAsync(random, model, 20);
        await disks.Worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: false), _ct);
        Assert.Equal([disks.Layer("a-0"), target], (await disks.Worker.DiskAsync(_ct)).Layers);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        Assert.True((await disks.ReadAsync(disks.Layer("a-0"))).AsSpan().SequenceEqual(model));
        await disks.JudgeAsync(disks.Layer("a-0"));
    }

    [Fact(Timeout = 120_000)]
    public async Task Fifty_layers_are_the_most()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        var (random, model) = (new Random(6), new byte[Size]);
        for (var layer = 1; layer < 50; layer++)
        {
            await disks.ChangeAsync(random, model, 2);
            await disks.CutAsync($"r{layer}");
        }

        await RefusedAsync(disks.Worker, ErrorCode.WrongState, new NewLayer("disk0", disks.Layer("more")));
        Assert.True((await disks.ReadServedAsync()).AsSpan().SequenceEqual(model));
        output.WriteLine(disks.Worker.Log.Split('\n').Last(line => line.Contains("requests waited", StringComparison.Ordinal)));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_job_that_has_cut_other_disks_is_another_job()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        Assert.Null((await disks.Worker.AskAsync(disks.Cut(Job, "a"), _ct)).Problem);
        await RefusedAsync(disks.Worker, ErrorCode.InvalidRequest, new NewLayer("disk1", disks.Layer("b")));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_full_file_system_fails_the_cut_and_leaves_nothing()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        var folder = disks.Worker.File("small");
        await using var small = await SmallFileSystem.MountAsync(folder, "size=16m", _ct);
        await small.FillAsync(16 << 10, _ct);
        await RefusedAsync(disks.Worker, ErrorCode.NoSpace, new NewLayer("disk0", disks.Layer("a")), new NewLayer("disk1", Path.Combine(folder, "a.avhdx")));
        Assert.Equal(["disk0.vhdx", "disk1.vhdx"], disks.Files());
        Assert.Equal(["filler"], Directory.GetFiles(folder).Select(Path.GetFileName));
        small.MakeRoom();
        Assert.Null((await disks.Worker.AskAsync(new AddLayers(Job, [new NewLayer("disk1", Path.Combine(folder, "a.avhdx"))]), _ct)).Problem);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_cut_that_cannot_be_recorded_is_refused_and_leaves_nothing()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);

        // worker.json is written through this name first.
        Directory.CreateDirectory(disks.Worker.ConfigFile + ".new");
        Assert.NotNull((await disks.Worker.AskAsync(disks.Cut(Job, "a"), _ct)).Problem);
        Directory.Delete(disks.Worker.ConfigFile + ".new");
        Assert.Equal(["disk0.vhdx"], disks.Files());
        await disks.CutAsync("a");
    }

    [Fact(Timeout = 60_000)]
    public async Task While_the_disk_is_held_for_want_of_a_lease_it_gets_no_layer()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        await disks.CutAsync("a");
        await disks.CutAsync("b");
        await disks.Worker.AskAsync(new HoldDisks(), _ct);
        await RefusedAsync(disks.Worker, ErrorCode.WrongState, new NewLayer("disk0", disks.Layer("c")));
        var merge = new MergeLayer(Job, "disk0", disks.Layer("a-0"));
        Assert.Equal(ErrorCode.WrongState, (await disks.Worker.AskAsync(merge, _ct)).Problem?.Code);
        await disks.Worker.AskAsync(new RenewLease(1, 600_000), _ct);
        await disks.CutAsync("c");
        Assert.Null((await disks.Worker.AskAsync(merge, _ct)).Problem);
    }

    [Fact(Timeout = 60_000)]
    public async Task Points_and_limits_go_on_over_a_new_layer_and_a_kill()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        var (random, model) = (new Random(7), new byte[Size]);
        await disks.Worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(RequestsPerSecond: 100_000)), _ct);
        await disks.ChangeAsync(random, model, 10);
        byte[] then = [.. model];
        await disks.Worker.AskAsync(new AddPoint("disk0", Guid.NewGuid(), "p"), _ct);
        await disks.ChangeAsync(random, model, 5);
        await disks.CutAsync("a");
        await disks.ChangeAsync(random, model, 5);
        disks.Worker.KillWorker();
        await disks.ChangeAsync(random, model, 5);
        var status = await disks.Worker.DiskAsync(_ct);
        Assert.Null(status.Points!.Single().Lost);
        Assert.Equal(100_000, status.Limits?.RequestsPerSecond);
        await using var disk = await NbdDevice.ConnectAsync(
            new System.Net.Sockets.UnixDomainSocketEndPoint(disks.Worker.NbdSocket), "disk0", new NbdClientOptions { ChangesSince = "p" }, _ct);
        ChangedRun run;
        for (long at = 0; at < Size; at = run.End)
        {
            run = await disk.GetChangesAsync(at, Size - at, _ct);
            var range = (int)at..(int)run.End;
            Assert.True(run.Changed || model.AsSpan(range).SequenceEqual(then.AsSpan(range)), $"{run} differs");
        }
    }

    private async Task RefusedAsync(WorkerUnderTest worker, ErrorCode code, params NewLayer[] layers)
    {
        var before = await File.ReadAllTextAsync(worker.ConfigFile, _ct);
        var reply = await worker.AskAsync(new AddLayers(Job, layers), _ct);
        Assert.True(code == reply.Problem?.Code, $"{reply.Problem} instead of {code}");
        Assert.Equal(before, await File.ReadAllTextAsync(worker.ConfigFile, _ct));
    }
}
