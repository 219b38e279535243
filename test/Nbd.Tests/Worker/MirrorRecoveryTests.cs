using Godwit.Api.Workers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Each instant at which a worker can die leaves a certain state of the files; here each is made on purpose.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class MirrorRecoveryTests
{
    private const long Size = 64 << 20;
    private static readonly Guid Job = Guid.Parse("5eed0003-0000-4000-8000-000000000001");
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public Task Renamed_but_not_committed_is_renamed_back_and_goes_on() => AfterAsync((worker, mirror) =>
    {
        File.Move(mirror.UnfinishedPath, mirror.TargetPath);
        return mirror;
    });

    [Fact(Timeout = 60_000)]
    public Task Recorded_but_no_file_made_starts_from_the_beginning() => AfterAsync((worker, mirror) =>
    {
        File.Delete(mirror.UnfinishedPath);
        File.Delete(Path.Combine(worker.Config, "disk0.bitmap"));
        return mirror with { TargetFile = null };
    });

    [Fact(Timeout = 60_000)]
    public Task File_made_but_not_recorded_starts_from_the_beginning() => AfterAsync((worker, mirror) =>
    {
        File.WriteAllText(mirror.UnfinishedPath, "half a header");
        File.Delete(Path.Combine(worker.Config, "disk0.bitmap"));
        return mirror with { TargetFile = null };
    });

    [Fact(Timeout = 60_000)]
    public Task A_bitmap_of_another_boot_is_not_trusted() => AfterAsync((worker, mirror) => mirror with { BootId = "another boot" });

    [Fact(Timeout = 60_000)]
    public Task A_torn_bitmap_is_not_trusted() => AfterAsync((worker, mirror) =>
    {
        using var file = File.OpenWrite(Path.Combine(worker.Config, "disk0.bitmap"));
        file.SetLength(100);
        return mirror;
    });

    [Fact(Timeout = 60_000)]
    public async Task A_cancel_that_was_cut_short_is_finished()
    {
        await using var worker = await StoppedInTheMiddleAsync((_, mirror) => mirror with { Cancelled = true });
        worker.Supervise();
        Assert.Null((await worker.DiskAsync(_ct)).Mirror);
        Assert.Equal(["disk0.vhdx"], Files(worker));
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_committed_switch_serves_the_target_and_clears_up()
    {
        await using var worker = await StoppedInTheMiddleAsync(
            (worker, mirror) =>
            {
                File.Move(mirror.UnfinishedPath, mirror.TargetPath);
                return mirror with { SwitchedFrom = worker.File("disk0.vhdx") };
            },
            untilVerified: true);
        var config = worker.Read();
        worker.Write(config with { Disks = [config.Disks[0] with { Disk = config.Disks[0].Disk with { Path = worker.File("new.vhdx") } }] });
        worker.Supervise();
        var disk = await worker.DiskAsync(_ct);
        Assert.Equal((worker.File("new.vhdx"), MirrorState.Switched), (disk.Path, disk.Mirror!.State));
        await ReadAsync(worker);
        Assert.Empty(Directory.GetFiles(worker.Config, "*.bitmap"));

        // Whose source it was is not recorded here, so it is not ours to delete.
        await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: false), _ct);
        Assert.Equal(["disk0.vhdx", "new.vhdx"], Files(worker));
    }

    private async Task AfterAsync(Func<WorkerUnderTest, WorkerMirrorConfig, WorkerMirrorConfig> damage)
    {
        await using var worker = await StoppedInTheMiddleAsync(damage);
        worker.Supervise();
        await ReadAsync(worker);
        await worker.AskAsync(new LimitMirror("disk0", Job, null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", Job), _ct)).Problem);
        await worker.AskAsync(new ForgetMirror("disk0", Job, RetainSource: true), _ct);
        await ReadAsync(worker);
        await worker.StopAsync(_ct);
        Assert.Equal(["disk0.vhdx", "new.vhdx"], Files(worker));
        await Tools.RunAsync(["qemu-img", "compare", "-f", "vhdx", "-F", "vhdx", worker.File("disk0.vhdx"), worker.File("new.vhdx")], _ct);
    }

    private async Task<WorkerUnderTest> StoppedInTheMiddleAsync(
        Func<WorkerUnderTest, WorkerMirrorConfig, WorkerMirrorConfig> damage, bool untilVerified = false)
    {
        var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 7 0 16M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
        await worker.AskAsync(new StartMirror("disk0", Job, worker.File("new.vhdx"), untilVerified ? null : 4 << 20), _ct);
        await worker.WaitForAsync(d => untilVerified ? d.Mirror?.State == MirrorState.Verified : d.Mirror?.BytesCopied > 0, _ct);
        await worker.StopAsync(_ct);
        var config = worker.Read();
        worker.Write(config with { Disks = [config.Disks[0] with { Mirror = damage(worker, config.Disks[0].Mirror!) }] });
        return worker;
    }

    private async Task ReadAsync(WorkerUnderTest worker)
    {
        await worker.WaitForAsync(d => d.Problem is null, _ct);
        await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "read -P 7 0 16M", $"nbd+unix:///disk0?socket={worker.NbdSocket}"], _ct);
    }

    private static string[] Files(WorkerUnderTest worker) =>
        [.. Directory.GetFiles(Path.GetDirectoryName(worker.Config)!).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
}
