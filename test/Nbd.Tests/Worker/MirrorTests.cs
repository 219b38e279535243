using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class MirrorTests(ITestOutputHelper output)
{
    private const long Size = 64 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0001-0000-4000-8000-000000000001");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 60_000)]
    [InlineData("disk0.vhdx", "vhdx")]
    [InlineData("disk0.img", "raw")]
    public async Task A_mirror_is_switched_under_load_and_the_new_file_has_everything(string disk, string format)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, disk);
        var target = worker.File("new/folder/" + disk);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 3, seed: 11, TimeSpan.FromMilliseconds(2));
        await Task.Delay(200, _ct);
        Assert.Null((await worker.AskAsync(new StartMirror("disk0", Job, target, null), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        var stall = await writers.StallAsync(async () => Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem), _ct);
        var disk0 = await worker.DiskAsync(_ct);
        Assert.Equal((target, MirrorState.Switched), (disk0.Path, disk0.Mirror!.State));
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new CancelMirror("disk0", Job), _ct)).Problem?.Code);
        Assert.True(File.Exists(worker.File(disk)));
        await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: false), _ct);
        Assert.False(File.Exists(worker.File(disk)));
        await Task.Delay(100, _ct);
        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        Assert.Equal([target], Directory.GetFiles(Path.GetDirectoryName(target)!));
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
        if (format == "vhdx")
            await Tools.RunAsync(["qemu-img", "check", "-f", format, target], _ct);
        writers.Check(await Tools.ToRawAsync(target, _ct));
        output.WriteLine($"longest stall at the switch {stall.TotalMilliseconds:F1} ms; {worker.Log.Split('\n').First(l => l.Contains("switched to", StringComparison.Ordinal))}");
    }

    [Fact(Timeout = 60_000)]
    public async Task The_copy_has_the_sources_content_and_both_stay_when_asked()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var uri = $"nbd+unix:///disk0?socket={worker.NbdSocket}";
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 1 0 5M", "-c", "write -P 2 33M 3M", "-c", "write -z 34M 1M", uri], _ct);
        var target = worker.File("copy.vhdx");
        await worker.AskAsync(new StartMirror("disk0", Job, target, null), _ct);
        var verified = await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.InRange(verified.Mirror!.BytesCopied, 7 << 20, 8 << 20);
        await worker.AskAsync(new SwitchMirror("disk0", Job), _ct);
        await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: true), _ct);
        await worker.StopAsync(_ct);
        await Tools.RunAsync(["qemu-img", "compare", "-f", "vhdx", "-F", "vhdx", worker.File("disk0.vhdx"), target], _ct);
    }

    [Fact(Timeout = 60_000)]
    public async Task Every_request_may_be_repeated()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var target = worker.File("copy.vhdx");
        for (var i = 0; i < 2; i++)
            Assert.Null((await worker.AskAsync(new StartMirror("disk0", Job, target, 1 << 20), _ct)).Problem);
        Assert.Equal(ErrorCode.Busy, (await worker.AskAsync(new StartMirror("disk0", Guid.NewGuid(), worker.File("x"), null), _ct)).Problem?.Code);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new ForgetMirror("disk0", Job, false), _ct)).Problem?.Code);
        Assert.Equal(ErrorCode.InvalidRequest, (await worker.AskAsync(new LimitMirror("disk0", Job, 0), _ct)).Problem?.Code);
        Assert.Equal(1 << 20, worker.Read().Disks[0].Mirror!.BytesPerSecond);
        Assert.Null((await worker.AskAsync(new LimitMirror("disk0", Job, null), _ct)).Problem);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        for (var i = 0; i < 2; i++)
            Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem);
        for (var i = 0; i < 2; i++)
            Assert.Null((await worker.AskAsync(new ForgetMirror("disk0", Job, false), _ct)).Problem);
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        Assert.Null((await worker.AskAsync(new CancelMirror("disk0", Job), _ct)).Problem);
    }

    [Fact(Timeout = 60_000)]
    public async Task Cancel_leaves_nothing_at_the_target_and_takes_no_two_seconds()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 1 0 32M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
        await worker.AskAsync(new StartMirror("disk0", Job, worker.File("a/b/copy.vhdx"), 4 << 20), _ct);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 1 << 20, _ct);
        Assert.Equal(ErrorCode.WrongState, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        var start = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.Null((await worker.AskAsync(new CancelMirror("disk0", Job), _ct)).Problem);
        Assert.InRange(System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 2);
        Assert.False(Directory.Exists(worker.File("a")));
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_that_is_there_already_is_never_touched()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var target = worker.File("precious.vhdx");
        await File.WriteAllTextAsync(target, "precious", _ct);
        Assert.Equal(ErrorCode.AlreadyExists, (await worker.AskAsync(new StartMirror("disk0", Job, target, null), _ct)).Problem?.Code);
        Assert.Equal("precious", await File.ReadAllTextAsync(target, _ct));

        // And when it appears only after the start, the switch fails and the source goes on.
        File.Delete(target);
        await worker.AskAsync(new StartMirror("disk0", Job, target, null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        await File.WriteAllTextAsync(target, "precious", _ct);
        Assert.Equal(ErrorCode.AlreadyExists, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        await worker.AskAsync(new CancelMirror("disk0", Job), _ct);
        Assert.Equal("precious", await File.ReadAllTextAsync(target, _ct));
        await using var device = await worker.ConnectAsync("disk0", _ct);
        await device.WriteAsync(0, new byte[512], WriteFlags.None, _ct);
    }
}
