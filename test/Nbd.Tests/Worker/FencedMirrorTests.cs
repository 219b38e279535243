using System.Security.Cryptography;
using Godwit.Api;
using Godwit.Api.Workers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A worker whose lease has run out writes nothing, the mirror's copy included.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class FencedMirrorTests
{
    private const long Size = 64 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0003-0000-4000-8000-000000000001");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 90_000)]
    public async Task A_lease_that_ends_stops_the_copy_in_this_worker_and_the_next_and_a_new_one_lets_it_finish()
    {
        await using var worker = await StartAsync();
        await worker.AskAsync(new RenewLease(1, 60_000), _ct);
        Assert.Null((await worker.AskAsync(new StartMirror("disk0", Job, worker.File("copy.vhdx"), 8 << 20), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 2 << 20, _ct);
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        var before = await ContentAsync(worker);
        Assert.Null((await worker.AskAsync(new LimitMirror("disk0", Job, null), _ct)).Problem);
        await Task.Delay(300, _ct);
        Assert.Equal(before, await ContentAsync(worker));
        Assert.Contains("lease", (await worker.DiskAsync(_ct)).Mirror!.Problem?.Title, StringComparison.Ordinal);

        // Neither a worker that was killed nor one that was restarted goes on without a lease.
        worker.KillWorker();
        Assert.Contains("lease", (await worker.WaitForAsync(d => d.Mirror?.Problem is not null, _ct)).Mirror!.Problem!.Title, StringComparison.Ordinal);

        // Opening replayed what the killed one had logged. From then on nothing.
        before = await ContentAsync(worker);
        await worker.RestartAsync(_ct);
        await Task.Delay(300, _ct);
        Assert.Equal(before, await ContentAsync(worker));

        Assert.Null((await worker.AskAsync(new RenewLease(2, 60_000), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        Assert.Equal(worker.File("disk0.vhdx"), (await worker.DiskAsync(_ct)).Path);
        Assert.False(File.Exists(worker.File("copy.vhdx")));
        Assert.Null((await worker.AskAsync(new RenewLease(2, 60_000), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem);

        // The old file may be somebody else's by now.
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: false), _ct)).Problem?.Code);
        Assert.True(File.Exists(worker.File("disk0.vhdx")));
        Assert.Null((await worker.AskAsync(new RenewLease(2, 60_000), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: true), _ct)).Problem);
        Assert.Equal(0, await worker.StopAsync(_ct));
        await Tools.RunAsync(["qemu-img", "compare", "-f", "vhdx", "-F", "vhdx", worker.File("disk0.vhdx"), worker.File("copy.vhdx")], _ct);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_revocation_ends_the_mirror_in_words_and_neither_file_is_written_any_more()
    {
        await using var worker = await StartAsync();
        await worker.AskAsync(new RenewLease(1, 60_000), _ct);
        Assert.Null((await worker.AskAsync(new StartMirror("disk0", Job, worker.File("copy.vhdx"), 8 << 20), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 2 << 20, _ct);
        Assert.Null((await worker.AskAsync(new RevokeLease("host b has it"), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        var (before, source) = (await ContentAsync(worker), await ContentAsync(worker, "disk0.vhdx"));
        var failed = await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Failed, _ct);
        Assert.Equal(ErrorCode.WrongState, failed.Mirror!.Problem?.Code);
        Assert.Contains("host b has it", failed.Mirror.Problem!.Title, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        Assert.Equal(0, await worker.StopAsync(_ct));
        Assert.Equal(before, await ContentAsync(worker));
        Assert.Equal(source, await ContentAsync(worker, "disk0.vhdx"));
        Assert.Contains("left as it is", worker.Log, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Without_a_lease_no_mirror_is_started()
    {
        await using var worker = await StartAsync();
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new StartMirror("disk0", Job, worker.File("copy.vhdx"), null), _ct)).Problem?.Code);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(worker.File("x"))!, "copy*"));
    }

    private async Task<WorkerUnderTest> StartAsync()
    {
        var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 5 1M 40M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
        return worker;
    }

    private async Task<string> ContentAsync(WorkerUnderTest worker, string? name = null)
    {
        var path = name is null ? Directory.GetFiles(Path.GetDirectoryName(worker.File("x"))!, "*.partial").Single() : worker.File(name);
        await using var file = File.OpenRead(path);
        return Convert.ToHexString(await SHA256.HashDataAsync(file, _ct));
    }
}
