using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A disk that a worker serves is locked, against QEMU's tools and against other workers, as long as it is served.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class ImageLockTests
{
    private const long Size = 16 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_served_disk_is_locked_and_a_killed_worker_leaves_nothing_locked()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var image = worker.File("disk0.vhdx");
        Assert.Contains("lock", (await WriteAsync(image)).Error, StringComparison.Ordinal);
        await worker.RestartAsync(_ct);
        Assert.Contains("lock", (await WriteAsync(image)).Error, StringComparison.Ordinal);
        worker.Supervisor.Kill();
        await worker.Supervisor.WaitForExitAsync(_ct);
        Assert.True(worker.KillWorker());
        while ((await WriteAsync(image)).ExitCode != 0)
            await Task.Delay(20, _ct);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_QEMU_has_open_is_not_served_until_it_is_free()
    {
        await using var worker = WorkerUnderTest.Create("disk0.img");
        await worker.MakeImageAsync(worker.File("disk0.img"), Size, _ct);
        var start = new System.Diagnostics.ProcessStartInfo("qemu-io") { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var argument in new[] { "-f", "raw", worker.File("disk0.img") })
            start.ArgumentList.Add(argument);
        using var qemu = System.Diagnostics.Process.Start(start)!;
        await qemu.StandardOutput.ReadAsync(new char[1], _ct);
        worker.Supervise();
        var problem = (await worker.DiskAsync(_ct)).Problem;
        Assert.Equal(ErrorCode.Busy, problem?.Code);
        Assert.Contains("in QEMU or one of its tools", problem!.Title, StringComparison.Ordinal);
        qemu.Kill();
        await worker.WaitForAsync(disk => disk.Problem is null, _ct);
    }

    [Fact(Timeout = 60_000)]
    public async Task Two_workers_do_not_serve_one_file()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var other = WorkerUnderTest.Create();
        other.Write(new WorkerConfig(Guid.NewGuid(), [new WorkerDiskConfig(new WorkerDisk("disk0", worker.File("disk0.vhdx")))]));
        other.Supervise();
        var problem = (await other.DiskAsync(_ct)).Problem;
        Assert.Equal(ErrorCode.Busy, problem?.Code);
        Assert.Contains("in a Godwit program", problem!.Title, StringComparison.Ordinal);
    }

    private Task<CommandResult> WriteAsync(string image) =>
        ChildProgram.RunAsync("qemu-io", ["-f", "vhdx", "-c", "write 0 4k", image], null, _ct);
}
