using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Api;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Layers put on top of disks in a real worker, under guests that write.</summary>
[Collection(WorkerPrograms.Name)]
public sealed partial class LayerCutTests(ITestOutputHelper output)
{
    private const long Size = 32 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0024-0000-4000-8000-000000000001");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx")]
    [InlineData("vhdx4k")]
    [InlineData("vhd")]
    public async Task Two_disks_are_cut_at_one_instant_and_what_was_answered_before_it_stays_below(string format)
    {
        await using var disks = await LayeredDisks.StartAsync(format, Size, 2, _ct);
        await using var first = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size / 2, writers: 2, seed: 31, TimeSpan.FromMilliseconds(1));
        await using var second = SequencedWriters.Start(disks.Worker.NbdSocket, "disk1", Size / 2, writers: 2, seed: 41, TimeSpan.FromMilliseconds(1));
        using var ending = new CancellationTokenSource();
        var pairs = WritePairsAsync(disks.Worker, ending.Token);
        await Task.Delay(300, _ct);
        var (before0, before1) = (first.Snapshot(), second.Snapshot());
        var stall = await first.StallAsync(async () => Assert.Null((await disks.Worker.AskAsync(disks.Cut(Job, "a", 2), _ct)).Problem), _ct);
        string[] hashes = [await disks.HashAsync(disks.Base(0)), await disks.HashAsync(disks.Base(1))];
        await Task.Delay(300, _ct);
        await ending.CancelAsync();
        var written = await pairs;
        await first.StopAsync();
        await second.StopAsync();
        var status = await disks.Worker.StatusAsync(_ct);
        Assert.All(status.Disks, (disk, index) => Assert.Equal([disks.Layer($"a-{index}"), disks.Base(index)], disk.Layers));
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));

        // The old leaves have what was answered before, never change again, and are from the same instant.
        Assert.Equal(hashes[0], await disks.HashAsync(disks.Base(0)));
        Assert.Equal(hashes[1], await disks.HashAsync(disks.Base(1)));
        first.Check(await disks.ToRawAsync(disks.Base(0)), before0);
        second.Check(await disks.ToRawAsync(disks.Base(1)), before1);
        var (cut0, cut1) = (await PairsInAsync(disks.Base(0), disks), await PairsInAsync(disks.Base(1), disks));
        Assert.True(cut0 == cut1 || cut0 == cut1 + 1, $"one disk was cut after record {cut0}, the other after {cut1}");
        Assert.InRange(cut0, 1, written - 1);
        for (var disk = 0; disk < 2; disk++)
        {
            (disk == 0 ? first : second).Check(await disks.ToRawAsync(disks.Layer($"a-{disk}")));
            Assert.Equal(written, await PairsInAsync(disks.Layer($"a-{disk}"), disks));
            await disks.JudgeAsync(disks.Layer($"a-{disk}"));
        }

        Assert.Equal((0, 0), (first.Errors, second.Errors));
        output.WriteLine($"{format}: a guest waited {stall.TotalMilliseconds:F1} ms; {HeldLine(disks.Worker.Log)}");
    }

    [Fact(Timeout = 120_000)]
    public async Task While_it_is_served_others_read_what_was_the_leaf_before()
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 1, _ct);
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 1 0 5M", $"nbd+unix:///disk0?socket={disks.Worker.NbdSocket}"], _ct);
        await disks.CutAsync("a");
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 2 1M 1M", $"nbd+unix:///disk0?socket={disks.Worker.NbdSocket}"], _ct);
        await Tools.RunAsync(["qemu-img", "check", "-f", "vhdx", disks.Base()], _ct);
        var raw = await Tools.ToRawAsync(disks.Base(), _ct);
        var read = await File.ReadAllBytesAsync(raw, _ct);
        Assert.True(read.AsSpan(0, 5 << 20).IndexOfAnyExcept((byte)1) < 0 && read.AsSpan(5 << 20).IndexOfAnyExcept((byte)0) < 0);
        Assert.Equal(2, (await disks.ReadServedAsync())[1 << 20]);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx")]
    [InlineData("vhdx4k")]
    [InlineData("vhd")]
    public async Task Discards_and_zeroes_over_what_is_below_hide_it_through_many_layers_and_a_kill(string format)
    {
        const int small = 8 << 20;
        await using var disks = await LayeredDisks.StartAsync(format, small, 1, _ct);
        var (random, model) = (new Random(51), new byte[small]);
        List<byte[]> cuts = [];
        for (var round = 0; round < 5; round++)
        {
            await disks.ChangeAsync(random, model, 40);
            if (round == 3)
                Assert.True(disks.Worker.KillWorker());
            await disks.CutAsync($"r{round}");
            cuts.Add([.. model]);
        }

        await disks.ChangeAsync(random, model, 40);
        Assert.True((await disks.ReadServedAsync()).AsSpan().SequenceEqual(model));
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        for (var round = 0; round < 5; round++)
        {
            var leaf = round == 0 ? disks.Base() : disks.Layer($"r{round - 1}-0");
            Assert.True((await disks.ReadAsync(leaf)).AsSpan().SequenceEqual(cuts[round]), $"{leaf} is not what the disk was at cut {round}");
        }

        Assert.True((await disks.ReadAsync(disks.Layer("r4-0"))).AsSpan().SequenceEqual(model));
        await disks.JudgeAsync(disks.Layer("r4-0"));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("recorded", false)]
    [InlineData("created-0", false)]
    [InlineData("created-1", false)]
    [InlineData("identified", false)]
    [InlineData("named", false)]
    [InlineData("held", false)]
    [InlineData("closed-0", false)]
    [InlineData("closed-1", false)]
    [InlineData("opened", false)]
    [InlineData("committed", true)]
    public async Task Killed_at_any_step_both_disks_are_on_the_same_side_and_the_same_request_finishes(string step, bool committed)
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        await using var first = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size, writers: 2, seed: 61, TimeSpan.FromMilliseconds(2));
        await using var second = SequencedWriters.Start(disks.Worker.NbdSocket, "disk1", Size, writers: 2, seed: 71, TimeSpan.FromMilliseconds(2));
        await Task.Delay(100, _ct);
        disks.DieAt($"layers-{step}");
        await disks.SendAsync(disks.Cut(Job, "a", 2));
        Assert.True(disks.HasHappened);
        await disks.Worker.WaitForAsync(disk => disk.Problem is null && disk.Size > 0, _ct);
        var status = await disks.Worker.StatusAsync(_ct);
        Assert.Equal(1, status.Restarts);
        Assert.All(status.Disks, disk => Assert.Equal(committed ? 2 : 1, disk.Layers?.Count));
        Assert.Equal(committed ? ["a-0.avhdx", "a-1.avhdx", "disk0.vhdx", "disk1.vhdx"] : ["disk0.vhdx", "disk1.vhdx"], disks.Files());
        for (var again = 0; again < 2; again++)
            Assert.All((await disks.Worker.AskAsync(disks.Cut(Job, "a", 2), _ct)).Status!.Disks, disk => Assert.Equal((2, Job), (disk.Layers!.Count, disk.Layer!.JobId)));
        await Task.Delay(100, _ct);
        await first.StopAsync();
        await second.StopAsync();
        Assert.Equal((0, 0), (first.Errors, second.Errors));
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        first.Check(await disks.ToRawAsync(disks.Layer("a-0")));
        second.Check(await disks.ToRawAsync(disks.Layer("a-1")));
        await disks.JudgeAsync(disks.Layer("a-1"));
    }

    [Theory(Timeout = 120_000)]
    [InlineData("recorded")]
    [InlineData("created-1")]
    [InlineData("identified")]
    [InlineData("named")]
    [InlineData("closed-0")]
    [InlineData("opened")]
    public async Task What_fails_before_the_commit_point_leaves_everything_as_it_was(string step)
    {
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        await using var writers = SequencedWriters.Start(disks.Worker.NbdSocket, "disk1", Size, writers: 2, seed: 81, TimeSpan.FromMilliseconds(2));
        await Task.Delay(100, _ct);
        disks.FailAt($"layers-{step}");
        var process = disks.Worker.WorkerProcessId();
        Assert.Equal(ErrorCode.IoFailed, (await disks.Worker.AskAsync(disks.Cut(Job, "a", 2), _ct)).Problem?.Code);
        Assert.True(disks.HasHappened);
        Assert.Equal(["disk0.vhdx", "disk1.vhdx"], disks.Files());
        Assert.All(disks.Worker.Read().Disks, disk => Assert.Null(disk.NewLayer));
        Assert.Equal(process, disks.Worker.WorkerProcessId());
        await disks.CutAsync("b", 2);
        await writers.StopAsync();
        Assert.Equal(0, writers.Errors);
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        writers.Check(await disks.ToRawAsync(disks.Layer("b-1")));
    }

    [Fact(Timeout = 300_000)]
    public async Task Killed_at_random_instants_no_disk_is_on_another_side_than_the_other()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : 240024;
        var random = new Random(seed);
        await using var disks = await LayeredDisks.StartAsync("vhdx", Size, 2, _ct);
        await using var first = SequencedWriters.Start(disks.Worker.NbdSocket, "disk0", Size, writers: 2, seed, TimeSpan.FromMilliseconds(3));
        await using var second = SequencedWriters.Start(disks.Worker.NbdSocket, "disk1", Size, writers: 2, seed + 9, TimeSpan.FromMilliseconds(3));
        var (layers, done) = (1, 0);
        for (var round = 0; round < 20; round++)
        {
            var cut = disks.Cut(new Guid(round, 1, 2, [1, 2, 3, 4, 5, 6, 7, 8]), $"r{round}", 2);
            var sent = disks.SendAsync(cut);
            await Task.Delay(random.Next(40), _ct);
            disks.Worker.KillWorker();
            await sent;
            await disks.Worker.WaitForAsync(disk => disk.Problem is null && disk.Size > 0, _ct);
            var status = await disks.Worker.StatusAsync(_ct);
            Assert.Equal(status.Disks[0].Layers!.Count, status.Disks[1].Layers!.Count);
            Assert.Equal(2 * status.Disks[0].Layers!.Count, disks.Files().Length);
            done += status.Disks[0].Layers!.Count - layers;
            Assert.Null((await disks.Worker.AskAsync(cut, _ct)).Problem);
            Assert.Equal(++layers, (await disks.Worker.StatusAsync(_ct)).Disks[1].Layers!.Count);
        }

        await first.StopAsync();
        await second.StopAsync();
        Assert.Equal(0, await disks.Worker.StopAsync(_ct));
        first.Check(await disks.ToRawAsync(disks.Layer("r19-0")));
        second.Check(await disks.ToRawAsync(disks.Layer("r19-1")));
        output.WriteLine($"seed {seed}: 20 cuts, {done} of them had come to their commit point when the worker was killed");
    }

    private static string HeldLine(string log) => HeldPattern().Matches(log).Select(match => match.Value).DefaultIfEmpty("").Last();

    [GeneratedRegex("requests waited [0-9.]+ ms.*")]
    private static partial Regex HeldPattern();

    /// <summary>Writes record after record to one disk and, once that is answered, to the other.</summary>
    /// <returns>How many.</returns>
    private async Task<int> WritePairsAsync(WorkerUnderTest worker, CancellationToken ending)
    {
        await using var first = await worker.ConnectAsync("disk0", _ct);
        await using var second = await worker.ConnectAsync("disk1", _ct);
        var record = new byte[4096];
        for (var number = 0; number < Size / 2 / record.Length; number++)
        {
            if (ending.IsCancellationRequested)
                return number;
            record.AsSpan().Fill(0x5a);
            await first.WriteAsync((Size / 2) + (number * 4096L), record, WriteFlags.None, _ct);
            await second.WriteAsync((Size / 2) + (number * 4096L), record, WriteFlags.None, _ct);
        }

        return (int)(Size / 2 / record.Length);
    }

    private static async Task<int> PairsInAsync(string image, LayeredDisks disks)
    {
        var content = (await disks.ReadAsync(image)).AsSpan((int)(Size / 2));
        var end = content.IndexOfAnyExcept((byte)0x5a);
        Assert.True(end < 0 || content[end..].IndexOf((byte)0x5a) < 0, "a later record is there, an earlier one is not");
        return (end < 0 ? content.Length : end) / 4096;
    }
}
