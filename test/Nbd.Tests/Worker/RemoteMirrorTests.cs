using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd.Tests.Remote;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>The built worker mirrors its disks to another host over TLS.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class RemoteMirrorTests : IDisposable
{
    private const long Size = 32 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;
    private readonly TempFolder _far = new();

    public void Dispose() => _far.Dispose();

    [Fact(Timeout = 120_000)]
    public async Task Kills_of_the_worker_and_cuts_of_the_link_under_load_lose_nothing()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size);
        await using var link = new BreakableLink(host.EndPoint, tcp: true);
        await using var worker = await host.MirroredAsync(link.Port, ["disk0.vhdx"], _ct);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 3, seed: 21, TimeSpan.FromMilliseconds(2));
        await Task.Delay(100, _ct);
        Assert.Null((await worker.AskAsync(FarHost.Start("disk0", link.Port, bytesPerSecond: 24 << 20), _ct)).Problem);
        for (var round = 1; round <= 3; round++)
        {
            await Task.Delay(100, _ct);
            link.Cut();
            if (round != 2)
                worker.KillWorker();
            await worker.StatusAsync(_ct);
            await Task.Delay(50, _ct);
            link.Mend();
            while (worker.Log.Split("is there again").Length <= round)
                await Task.Delay(20, _ct);
            await Task.Delay(150, _ct);
        }

        worker.KillWorker();
        await writers.StopAsync();
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await host.StopAsync();
        writers.Check(_far.File("target.img"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Four_disks_are_mirrored_at_once_and_a_cancel_leaves_the_others_alone()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size, disks: 4);
        await using var worker = await host.MirroredAsync(host.EndPoint.Port, ["disk0.vhdx", "disk1.img", "disk2.vhdx", "disk3.img"], _ct);
        for (var i = 0; i < 4; i++)
        {
            await Tools.RunAsync(
                ["qemu-io", "-f", "raw", "-c", $"write -P {i + 1} 1M 8M", $"nbd+unix:///disk{i}?socket={worker.NbdSocket}"], _ct);
        }

        for (var i = 0; i < 4; i++)
            Assert.Null((await worker.AskAsync(FarHost.Start($"disk{i}", host.EndPoint.Port, i, i == 3 ? 1 << 16 : null), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new CancelMirror("disk3", FarHost.Job), _ct)).Problem);
        var status = await worker.StatusAsync(_ct);
        while (status.Disks.Take(3).Any(d => d.Mirror?.State != MirrorState.Verified))
        {
            await Task.Delay(20, _ct);
            status = await worker.StatusAsync(_ct);
        }

        Assert.Null(status.Disks[3].Mirror);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new SwitchMirror("disk0", FarHost.Job), _ct)).Problem?.Code);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await host.StopAsync();
        for (var i = 0; i < 3; i++)
            await Tools.RunAsync(["qemu-io", "-f", "raw", "-r", "-c", $"read -P {i + 1} 1M 8M", "-c", "read -P 0 9M 20M", host.PathOf(i)], _ct);
    }

    [Fact(Timeout = 60_000)]
    public async Task What_is_wrong_is_said_at_once_and_the_disk_goes_on()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size);
        await using var worker = await host.MirroredAsync(host.EndPoint.Port, ["disk0.vhdx"], _ct);
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(FarHost.Start("disk0", host.EndPoint.Port, 7), _ct)).Problem?.Code);

        // A port the host does not allow: the kernel refuses, whatever listens there.
        var refused = (await worker.AskAsync(FarHost.Start("disk0", 1), _ct)).Problem;
        Assert.Contains("Permission denied", refused?.Title, StringComparison.Ordinal);
        File.Delete(Path.Combine(worker.Config, "tls", "key.pem"));
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(FarHost.Start("disk0", host.EndPoint.Port), _ct)).Problem?.Code);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
        Assert.Empty(Directory.GetFiles(worker.Config, "*.unflushed"));
    }
}
