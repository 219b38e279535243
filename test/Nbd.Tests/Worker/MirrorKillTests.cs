using System.Globalization;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class MirrorKillTests(ITestOutputHelper output)
{
    private const long Size = 64 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;
    private int _kills;

    /// <summary>GODWIT_MIRROR_ROUNDS makes it a soak test.</summary>
    private static int Rounds =>
        int.TryParse(Environment.GetEnvironmentVariable("GODWIT_MIRROR_ROUNDS"), CultureInfo.InvariantCulture, out var rounds) ? rounds : 15;

    [Fact(Timeout = 600_000)]
    public async Task Killed_at_any_instant_of_mirror_switch_or_cancel_one_side_serves_and_nothing_is_lost_or_left()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : 770011;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 3, seed, TimeSpan.FromMilliseconds(3));
        await Task.Delay(300, _ct);
        var path = worker.File("disk0.vhdx");
        var switches = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var target = worker.File($"moved{round}.vhdx");
            var cancel = random.Next(3) == 0;
            path = await RoundAsync(worker, random, path, target, cancel);
            switches += cancel ? 0 : 1;
            Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(worker.Config)!));
            Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
        }

        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        await Tools.RunAsync(["qemu-img", "check", "-f", "vhdx", path], _ct);
        writers.Check(await Tools.ToRawAsync(path, _ct));
        output.WriteLine($"{Rounds} rounds, {switches} switched, {_kills} kills, {writers.Acknowledged} acknowledged writes, 0 lost");
    }

    /// <summary>One move as a host would drive it, with the worker dying now and then.</summary>
    /// <returns>Where the disk is afterwards.</returns>
    private async Task<string> RoundAsync(WorkerUnderTest worker, Random random, string source, string target, bool cancel)
    {
        var job = new Guid(random.Next(), 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
        await KillDuringAsync(worker, random, new StartMirror("disk0", job, target, null), 30);
        await AskSurelyAsync(worker, new StartMirror("disk0", job, target, null));
        if (random.Next(2) == 0)
        {
            await Task.Delay(random.Next(150), _ct);
            Kill(worker);
        }

        if (cancel)
        {
            await KillDuringAsync(worker, random, new CancelMirror("disk0", job), 20);
            await AskSurelyAsync(worker, new CancelMirror("disk0", job));
            return source;
        }

        await worker.WaitForAsync(d => d.Mirror?.State is MirrorState.Verified or MirrorState.Failed, _ct);
        await KillDuringAsync(worker, random, new SwitchMirror("disk0", job), 25);
        await SwitchSurelyAsync(worker, job);
        await KillDuringAsync(worker, random, new ForgetMirror("disk0", job, RetainSource: false), 10);
        await AskSurelyAsync(worker, new ForgetMirror("disk0", job, RetainSource: false));
        Assert.Equal(target, (await worker.DiskAsync(_ct)).Path);
        return target;
    }

    private async Task SwitchSurelyAsync(WorkerUnderTest worker, Guid job)
    {
        while (true)
        {
            var disk = await worker.WaitForAsync(
                d => d.Problem is null && d.Mirror?.State is MirrorState.Verified or MirrorState.Failed or MirrorState.Switched, _ct);
            Assert.NotEqual(MirrorState.Failed, disk.Mirror!.State);
            var reply = await worker.AskAsync(new SwitchMirror("disk0", job), _ct);
            if (reply.Problem is null)
                return;
            Assert.Equal(ErrorCode.WrongState, reply.Problem.Code);
        }
    }

    private async Task AskSurelyAsync(WorkerUnderTest worker, WorkerRequest request)
    {
        await worker.WaitForAsync(d => d.Problem is null, _ct);
        var reply = await worker.AskAsync(request, _ct);
        Assert.True(reply.Problem is null, $"{request}: {reply.Problem}\n{worker.Log}");
    }

    private async Task KillDuringAsync(WorkerUnderTest worker, Random random, WorkerRequest request, int withinMilliseconds)
    {
        var sent = worker.TrySendAsync(JsonSerializer.Serialize(request, ApiJson.Default.WorkerRequest), _ct);
        await Task.Delay(random.Next(withinMilliseconds), _ct);
        Kill(worker);
        await sent;
    }

    private void Kill(WorkerUnderTest worker) => _kills += worker.KillWorker() ? 1 : 0;
}
