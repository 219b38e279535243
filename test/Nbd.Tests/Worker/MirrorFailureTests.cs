using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class MirrorFailureTests
{
    private const long Size = 96 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0002-0000-4000-8000-000000000001");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_full_target_fails_the_mirror_and_the_source_goes_on()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var full = worker.File("full");
        await using var mount = await SmallFileSystem.MountAsync(full, "size=8m", _ct);
        await using var writers = await FillAsync(worker);
        await worker.AskAsync(new StartMirror("disk0", Job, Path.Combine(full, "copy.vhdx"), null), _ct);
        var failed = await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Failed, _ct);
        Assert.Equal(ErrorCode.NoSpace, failed.Mirror!.Problem?.Code);
        await EndAsync(worker, writers);
        Assert.Empty(Directory.GetFiles(full));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_target_that_fills_up_only_after_the_copy_costs_the_guest_nothing(bool atOnce)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var full = worker.File("full");
        await using var mount = await SmallFileSystem.MountAsync(full, "size=8m", _ct);
        await worker.AskAsync(new StartMirror("disk0", Job, Path.Combine(full, "copy.vhdx"), null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        await using var writers = await FillAsync(worker, atOnce);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Failed, _ct);
        await EndAsync(worker, writers);
        Assert.Empty(Directory.GetFiles(full));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_read_only_target_folder_is_refused_at_the_start()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var locked = worker.File("locked");
        await using var mount = await SmallFileSystem.MountAsync(locked, "ro", _ct);
        var reply = await worker.AskAsync(new StartMirror("disk0", Job, Path.Combine(locked, "deep/copy.vhdx"), null), _ct);
        Assert.True(reply.Problem?.Code is ErrorCode.AccessDenied or ErrorCode.IoFailed, reply.Problem?.ToString());
        Assert.Contains(locked, reply.Problem!.Title, StringComparison.Ordinal);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_differencing_disk_is_served_with_its_parent_and_not_moved()
    {
        var content = new byte[4096];
        new Random(1).NextBytes(content);
        await using var worker = WorkerUnderTest.Create("disk0.vhdx");
        var parent = worker.File("base.vhdx");
        await worker.MakeImageAsync(parent, Size, _ct);
        await using (var disk = await DiskImage.OpenAsync(parent, null, readOnly: false, _ct))
            await disk.WriteAsync(8192, content, WriteFlags.None, _ct);
        await ChildImage.CreateAsync(worker.File("disk0.vhdx"), parent, null, null, PathMap.Empty, _ct);
        worker.Supervise();
        await worker.WaitForAsync(disk => disk.Size == Size, _ct);
        await using var device = await worker.ConnectAsync("disk0", _ct);
        var read = new byte[4096];
        await device.ReadAsync(8192, read, _ct);
        Assert.Equal(content, read);
        var reply = await worker.AskAsync(new StartMirror("disk0", Job, worker.File("new/copy.vhdx"), null), _ct);
        Assert.Equal(ErrorCode.Unsupported, reply.Problem?.Code);
        Assert.False(Directory.Exists(worker.File("new")));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_target_below_a_file_is_refused_at_the_start()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var reply = await worker.AskAsync(new StartMirror("disk0", Job, worker.File("disk0.vhdx/copy.vhdx"), null), _ct);
        Assert.NotNull(reply.Problem);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_target_that_vanishes_fails_the_mirror_and_the_source_goes_on()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var writers = await FillAsync(worker);
        await worker.AskAsync(new StartMirror("disk0", Job, worker.File("t/copy.vhdx"), 4 << 20), _ct);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 0, _ct);
        File.Delete(Directory.GetFiles(worker.File("t")).Single());
        var failed = await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Failed, _ct);
        Assert.Equal(ErrorCode.NotFound, failed.Mirror!.Problem?.Code);
        Assert.Contains(".partial", failed.Mirror.Problem!.Title, StringComparison.Ordinal);

        // The next worker must not take it up again: the source has changed since.
        worker.KillWorker();
        Assert.Equal(MirrorState.Failed, (await worker.WaitForAsync(d => d.Mirror is not null, _ct)).Mirror!.State);
        await EndAsync(worker, writers);
        Assert.False(Directory.Exists(worker.File("t")));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_put_in_the_targets_place_is_neither_used_nor_deleted()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await worker.AskAsync(new StartMirror("disk0", Job, worker.File("copy.vhdx"), null), _ct);
        var partial = Directory.GetFiles(Path.GetDirectoryName(worker.File("x"))!, "*.partial").Single();
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        File.Move(partial, partial + ".old");
        await File.WriteAllTextAsync(partial, "precious", _ct);
        Assert.Equal(ErrorCode.NotFound, (await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem?.Code);
        await worker.AskAsync(new CancelMirror("disk0", Job), _ct);
        Assert.Equal("precious", await File.ReadAllTextAsync(partial, _ct));
    }

    private async Task<SequencedWriters> FillAsync(WorkerUnderTest worker, bool large = true)
    {
        var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", 64 << 20, writers: 2, seed: 5, TimeSpan.FromMilliseconds(1));
        while (writers.Acknowledged < 100)
            await Task.Delay(10, _ct);
        // Beside what the writers use: enough that a copy takes a while and does not fit everywhere.
        if (large)
            await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 3 64M 32M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
        return writers;
    }

    private async Task EndAsync(WorkerUnderTest worker, SequencedWriters writers)
    {
        var before = writers.Acknowledged;
        while (writers.Acknowledged < before + 20)
            await Task.Delay(10, _ct);
        Assert.Null((await worker.AskAsync(new CancelMirror("disk0", Job), _ct)).Problem);
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        await writers.StopAsync();
        await worker.StopAsync(_ct);
        writers.Check(await Tools.ToRawAsync(worker.File("disk0.vhdx"), _ct));
    }
}
