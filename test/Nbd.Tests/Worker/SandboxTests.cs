using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>What a worker that serves cannot do any more. The kernel these run on is one with landlock and seccomp.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class SandboxTests(ITestOutputHelper output)
{
    private const long Size = 4 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task A_process_limited_like_a_worker_is_refused_what_no_worker_needs()
    {
        await using var worker = WorkerUnderTest.Create("disk0.img");
        worker.AllowOnly(worker.File("disks"));
        var told = await Tools.RunAsync([WorkerUnderTest.Program, "sandbox", "--config", worker.Config, "--run", worker.Run], _ct);
        output.WriteLine(told);
        Assert.Contains("the sandbox holds", told, StringComparison.Ordinal);
        foreach (var attempt in (string[])["make a file elsewhere", "read a file elsewhere", "start a program", "ptrace", "mount", "connect"])
            Assert.Contains($"{attempt}: refused", told, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Every_thread_of_a_worker_is_behind_the_filter()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var device = await worker.ConnectAsync("disk0", _ct);
        await device.WriteAsync(0, new byte[1 << 20], WriteFlags.None, _ct);
        await device.FlushAsync(_ct);
        var threads = Directory.GetDirectories($"/proc/{worker.WorkerProcessId()}/task");
        Assert.NotEmpty(threads);
        Assert.All(threads, thread =>
        {
            var lines = File.ReadAllLines(thread + "/status");
            Assert.Contains("Seccomp:\t2", lines);
            Assert.Contains("NoNewPrivs:\t1", lines);
        });
    }

    [Fact(Timeout = 60_000)]
    public async Task A_worker_reaches_the_folders_of_the_host_and_no_others()
    {
        await using var worker = WorkerUnderTest.Create("in/disk0.img", "out/disk1.img");
        foreach (var folder in (string[])["in", "out", "more"])
            Directory.CreateDirectory(worker.File(folder));
        await worker.MakeImageAsync(worker.File("in/disk0.img"), Size, _ct);
        await worker.MakeImageAsync(worker.File("out/disk1.img"), Size, _ct);
        worker.AllowOnly(worker.File("in"), worker.File("more"));
        worker.Supervise();
        var status = await worker.StatusAsync(_ct);
        Assert.True(status.Sandbox is { FoldersLimited: true, CallsLimited: true, LandlockVersion: > 0 }, $"{status.Sandbox}");
        Assert.Null(status.Disks[0].Problem);
        Assert.Equal(ErrorCode.AccessDenied, status.Disks[1].Problem?.Code);

        var refused = await worker.AskAsync(new StartMirror("disk0", Guid.NewGuid(), worker.File("out/moved.img"), null), _ct);
        Assert.Equal(ErrorCode.AccessDenied, refused.Problem?.Code);
        Assert.False(File.Exists(worker.File("out/moved.img")));

        var job = Guid.NewGuid();
        await worker.AskAsync(new StartMirror("disk0", job, worker.File("more/new/moved.img"), null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", job), _ct)).Problem);
        Assert.Null((await worker.AskAsync(new ForgetMirror("disk0", job, RetainSource: false), _ct)).Problem);
        Assert.False(File.Exists(worker.File("in/disk0.img")));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_worker_that_was_taken_over_cannot_widen_the_folders_of_the_next_one()
    {
        await using var worker = WorkerUnderTest.Create("out/disk0.img");
        Directory.CreateDirectory(worker.File("in"));
        Directory.CreateDirectory(worker.File("out"));
        await worker.MakeImageAsync(worker.File("out/disk0.img"), Size, _ct);
        worker.AllowOnly(worker.File("in"));
        worker.Supervise();
        var before = await worker.StatusAsync(_ct);
        worker.AllowOnly("/");
        worker.KillWorker();
        var after = await worker.StatusAsync(_ct);
        Assert.NotEqual(before.ProcessId, after.ProcessId);
        Assert.Equal(ErrorCode.AccessDenied, after.Disks[0].Problem?.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task Without_folders_of_the_host_files_are_not_limited_and_the_worker_says_so()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var sandbox = (await worker.StatusAsync(_ct)).Sandbox!;
        Assert.True(sandbox is { FoldersLimited: false, CallsLimited: true }, $"{sandbox}");
        Assert.Contains(sandbox.Gaps, gap => gap.Contains("--allow-root", StringComparison.Ordinal));
        await worker.WaitForLogAsync("warn sandbox: the host allows disks in every folder", _ct);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("landlock", "the kernel has no landlock")]
    [InlineData("seccomp", "the kernel has no system call filter")]
    public async Task A_kernel_without_the_means_is_a_visible_gap_and_the_guest_is_served(string without, string words)
    {
        await using var worker = WorkerUnderTest.Create("in/disk0.img");
        Directory.CreateDirectory(worker.File("in"));
        await worker.MakeImageAsync(worker.File("in/disk0.img"), Size, _ct);
        worker.AllowOnly(worker.File("in"));
        worker.Supervise(new Dictionary<string, string> { ["GODWIT_TEST_KERNEL_WITHOUT"] = without });
        var sandbox = (await worker.StatusAsync(_ct)).Sandbox!;
        Assert.Equal((without == "seccomp", without == "landlock"), (sandbox.FoldersLimited, sandbox.CallsLimited));
        Assert.Contains(words, Assert.Single(sandbox.Gaps), StringComparison.Ordinal);
        await worker.WaitForLogAsync($"warn sandbox: {words}", _ct);
        await using var device = await worker.ConnectAsync("disk0", _ct);
        await device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct);
    }
}
