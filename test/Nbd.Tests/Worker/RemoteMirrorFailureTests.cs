using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Nbd.Tests.Remote;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>What goes wrong at the other host, or on the way there, costs the guest nothing and is said in words.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class RemoteMirrorFailureTests : IDisposable
{
    private const long Size = 32 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;
    private readonly TempFolder _far = new();

    public void Dispose() => _far.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task A_far_disk_that_is_full_suspends_the_mirror_until_there_is_room()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size);
        await using var worker = await host.MirroredAsync(host.EndPoint.Port, ["disk0.vhdx"], _ct);
        await using var writers = await FillAsync(worker);
        host.Rules.LimitSpace(4 << 20);
        Assert.Null((await worker.AskAsync(FarHost.Start("disk0", host.EndPoint.Port), _ct)).Problem);
        var waiting = await worker.WaitForAsync(d => d.Mirror?.Problem?.Code == ErrorCode.NoSpace, _ct);
        Assert.Equal(MirrorState.Copying, waiting.Mirror!.State);
        Assert.Contains("target0", waiting.Mirror.Problem!.Title, StringComparison.Ordinal);
        Assert.Contains("free space", waiting.Mirror.Problem.Remedy, StringComparison.Ordinal);
        await GoesOnAsync(writers);
        host.Rules.Heal();
        await FinishAsync(worker, writers, host);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_far_side_that_answers_nonsense_is_left_and_tried_again()
    {
        using var authority = new TestAuthority();
        var file = LocalFile.Create(_far.File("target.img"));
        await RawDisk.CreateAsync(file, Size, _ct);
        await using var target = RawDisk.Open(file);
        await using var server = new ServerUnderTest(null, new NbdExport("target0", target));
        await using var far = new LyingFarSide(server.EndPoint, authority);
        await using var host = await FarHost.CreateAsync(_far.File("unused.img"), Size);
        await using var worker = await host.MirroredAsync(far.Port, ["disk0.vhdx"], _ct);
        authority.WriteFiles(Path.Combine(worker.Config, "tls"), "worker", forServer: false);
        await using var writers = await FillAsync(worker);
        Assert.Null((await worker.AskAsync(FarHost.Start("disk0", far.Port, bytesPerSecond: 16 << 20), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 1 << 20, _ct);
        far.Lies = true;
        var waiting = await worker.WaitForAsync(d => d.Mirror?.Problem is not null, _ct);
        Assert.Equal(MirrorState.Copying, waiting.Mirror!.State);
        while (far.Told < 5)
            await Task.Delay(10, _ct);
        await GoesOnAsync(writers);
        far.Lies = false;
        Assert.Null((await worker.AskAsync(new LimitMirror("disk0", FarHost.Job, null), _ct)).Problem);
        await writers.StopAsync();
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await server.StopAsync();
        writers.Check(_far.File("target.img"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_far_side_that_says_nothing_is_refused_at_the_start_and_costs_the_guest_nothing_later()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size);
        await using var link = new BreakableLink(host.EndPoint, tcp: true);
        await using var worker = await host.MirroredAsync(link.Port, ["disk0.vhdx"], _ct);
        await using var writers = await FillAsync(worker);
        link.Silence();
        var refused = (await worker.AskAsync(FarHost.Start("disk0", link.Port), _ct)).Problem;
        Assert.Equal(ErrorCode.Unavailable, refused?.Code);
        Assert.Contains("has not answered", refused!.Title, StringComparison.Ordinal);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        link.Cut();
        link.Mend();

        Assert.Null((await worker.AskAsync(FarHost.Start("disk0", link.Port, bytesPerSecond: 8 << 20), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 1 << 20, _ct);
        link.Silence();
        await GoesOnAsync(writers);
        var waiting = await worker.WaitForAsync(d => d.Mirror?.Problem is not null, _ct);
        Assert.Null((await worker.AskAsync(new LimitMirror("disk0", FarHost.Job, null), _ct)).Problem);
        Assert.Equal(MirrorState.Copying, waiting.Mirror!.State);
        link.Cut();
        link.Mend();
        await FinishAsync(worker, writers, host);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("expired", "has expired")]
    [InlineData("unknown", "authority that is trusted here")]
    [InlineData("other", "for another name than elsewhere")]
    public async Task A_far_side_with_the_wrong_certificate_is_refused_in_words(string wrong, string words)
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size, expired: wrong == "expired");
        await using var worker = await host.MirroredAsync(host.EndPoint.Port, ["disk0.vhdx"], _ct);
        if (wrong == "unknown")
        {
            using var another = new TestAuthority();
            await File.WriteAllTextAsync(Path.Combine(worker.Config, "tls", "ca.pem"), another.Pem, _ct);
        }

        await using var writers = await FillAsync(worker);
        var refused = (await worker.AskAsync(
            FarHost.Start("disk0", host.EndPoint.Port, serverName: wrong == "other" ? "elsewhere" : "localhost"), _ct)).Problem;
        Assert.Equal(ErrorCode.AccessDenied, refused?.Code);
        Assert.Contains(words, refused!.Title, StringComparison.Ordinal);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
        await GoesOnAsync(writers);
        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        writers.Check(await Tools.ToRawAsync(worker.File("disk0.vhdx"), _ct));
    }

    [Fact(Timeout = 60_000)]
    public async Task Certificates_that_are_renewed_count_when_the_link_is_made_again()
    {
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Size);
        await using var link = new BreakableLink(host.EndPoint, tcp: true);
        await using var worker = await host.MirroredAsync(link.Port, ["disk0.vhdx"], _ct);
        await using var writers = await FillAsync(worker);
        Assert.Null((await worker.AskAsync(FarHost.Start("disk0", link.Port, bytesPerSecond: 8 << 20), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 1 << 20, _ct);
        link.Cut();
        await host.RenewAuthorityAsync();
        link.Server = host.EndPoint;
        link.Mend();
        await worker.WaitForAsync(d => d.Mirror?.Problem?.Title.Contains("TLS", StringComparison.Ordinal) == true, _ct);
        host.WriteCertificates(worker);
        Assert.Null((await worker.AskAsync(new LimitMirror("disk0", FarHost.Job, null), _ct)).Problem);
        await FinishAsync(worker, writers, host);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_room_for_the_bitmap_refuses_the_mirror_and_the_guest_goes_on(bool remote)
    {
        // A bitmap of two megabytes, of which nothing is ever copied.
        const long Huge = 1L << 40;
        await using var host = await FarHost.CreateAsync(_far.File("target.img"), Huge);
        await using var worker = WorkerUnderTest.Create("disk0.img");
        var config = worker.Read();
        await using var mount = await SmallFileSystem.MountAsync(worker.Config, "size=32m,mode=0700", _ct);
        worker.Write(config);
        await worker.MakeImageAsync(worker.File("disk0.img"), Huge, _ct);
        host.Allow(worker, host.EndPoint.Port);
        worker.Supervise();
        await worker.StatusAsync(_ct);
        await mount.FillAsync(leave: 200 << 10, _ct);
        WorkerRequest start = remote
            ? FarHost.Start("disk0", host.EndPoint.Port)
            : new StartMirror("disk0", FarHost.Job, worker.File("copy.img"), null);
        var refused = (await worker.AskAsync(start, _ct)).Problem;
        Assert.True(refused?.Code == ErrorCode.NoSpace, $"{refused}");
        Assert.Contains(worker.Config, refused!.Title, StringComparison.Ordinal);
        Assert.Contains("free space", refused.Remedy, StringComparison.Ordinal);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap*"));
        Assert.Empty(Directory.GetFiles(worker.Config, "*.unflushed*"));
        await using var device = await worker.ConnectAsync("disk0", _ct);
        await device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct);

        mount.MakeRoom();
        Assert.Null((await worker.AskAsync(start, _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new CancelMirror("disk0", FarHost.Job), _ct)).Problem);
    }

    private async Task<SequencedWriters> FillAsync(WorkerUnderTest worker)
    {
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 7 0 24M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
        return SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 2, seed: 9, TimeSpan.FromMilliseconds(2));
    }

    private async Task GoesOnAsync(SequencedWriters writers)
    {
        var before = writers.Acknowledged;
        while (writers.Acknowledged < before + 50)
            await Task.Delay(10, _ct);
        Assert.Equal(0, writers.Errors);
    }

    private async Task FinishAsync(WorkerUnderTest worker, SequencedWriters writers, FarHost host)
    {
        await GoesOnAsync(writers);
        await writers.StopAsync();
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await host.StopAsync();
        writers.Check(_far.File("target.img"));
    }
}
