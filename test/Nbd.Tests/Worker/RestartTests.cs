using System.Globalization;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Restarts that somebody asks for.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class RestartTests(ITestOutputHelper output)
{
    private const long Size = 64 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Theory(Timeout = 300_000)]
    [InlineData("disk0.vhdx")]
    public async Task Twenty_planned_restarts_lose_no_acknowledged_write_and_cost_only_short_stalls(string disk)
    {
        const int restarts = 20;
        const int seed = 20261128;
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, disk);
        var supervisor = worker.Supervisor.Id;
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 4, seed);
        List<double> stalls = [];
        for (var i = 0; i < restarts; i++)
        {
            await Task.Delay(30, _ct);
            var stall = await writers.StallAsync(() => worker.RestartAsync(_ct), _ct);
            stalls.Add(stall.TotalMilliseconds);
        }

        var status = await worker.StatusAsync(_ct);
        Assert.Equal((restarts, supervisor), (status.Restarts, status.SupervisorProcessId));
        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        writers.Check(await Tools.ToRawAsync(worker.File(disk), _ct));
        Assert.Equal((0, 0), (writers.Refused, writers.Errors));
        Assert.DoesNotContain("starting another", worker.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("not everything could be flushed", worker.Log, StringComparison.Ordinal);
        stalls.Sort();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{restarts} planned restarts, {writers.Acknowledged} acknowledged writes, 0 lost; stall median {stalls[restarts / 2]:F0} ms, worst {stalls[^1]:F0} ms (seed {seed}, {WorkerUnderTest.Program})"));
    }

    [Fact(Timeout = 60_000)]
    public async Task QEMU_s_client_reconnects_and_shows_no_error()
    {
        const int Writes = 3000;
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        List<string> command = ["qemu-io", "--image-opts", $"driver=nbd,server.type=unix,server.path={worker.NbdSocket},export=disk0,reconnect-delay=30"];
        for (var i = 0; i < Writes; i++)
            command.AddRange(["-c", $"write -q -P {1 + (i % 250)} {i * 4096} 4096"]);
        command.AddRange(["-c", "flush"]);
        var writing = Tools.RunAsync([.. command], _ct);
        // Opening is not tried again: only what is connected reconnects.
        await worker.WaitForAsync(disk => disk.Connections > 0, _ct);
        var restarts = 0;
        for (; restarts < 3 || !writing.IsCompleted; restarts++)
        {
            await worker.RestartAsync(_ct);
            await Task.WhenAny(writing, Task.Delay(50, _ct));
        }

        Assert.DoesNotContain("rror", await writing, StringComparison.Ordinal);
        await worker.StopAsync(_ct);
        var raw = await File.ReadAllBytesAsync(await Tools.ToRawAsync(worker.File("disk0.vhdx"), _ct), _ct);
        Assert.All(Enumerable.Range(0, Writes), i => Assert.Equal(1 + (i % 250), raw[(i * 4096) + 4095]));
        output.WriteLine($"{restarts} restarts while qemu-io wrote");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_does_not_reconnect_gets_its_answers_and_then_a_clean_end()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var device = await worker.ConnectAsync("disk0", _ct);
        var data = new byte[4096];
        data.AsSpan().Fill(0x77);
        await device.WriteAsync(8192, data, WriteFlags.None, _ct);
        await worker.RestartAsync(_ct);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(8192, data, _ct));
        Assert.Equal(StorageErrorKind.Closed, error.Kind);
        await using var next = await worker.ConnectAsync("disk0", _ct);
        var read = new byte[4096];
        await next.ReadAsync(8192, read, _ct);
        Assert.All(read, b => Assert.Equal(0x77, b));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_mirror_in_progress_goes_on_where_it_was()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var data = new byte[16 << 20];
        new Random(1).NextBytes(data);
        await using (var device = await worker.ConnectAsync("disk0", _ct))
            await device.WriteAsync(0, data, WriteFlags.None, _ct);
        var job = Guid.NewGuid();
        await worker.AskAsync(new StartMirror("disk0", job, worker.File("moved.img"), 8 << 20), _ct);
        await worker.WaitForAsync(d => d.Mirror?.BytesCopied > 0, _ct);
        await worker.RestartAsync(_ct);
        await worker.AskAsync(new LimitMirror("disk0", job, null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        await worker.AskAsync(new SwitchMirror("disk0", job), _ct);
        Assert.DoesNotContain("copying again from the start", worker.Log, StringComparison.Ordinal);
        await worker.StopAsync(_ct);
        Assert.Equal(data, (await File.ReadAllBytesAsync(worker.File("moved.img"), _ct))[..data.Length]);
    }

    [Fact(Timeout = 120_000)]
    public async Task Restarts_among_switches_leave_every_disk_on_one_side_or_the_other()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 2, seed: 5, TimeSpan.FromMilliseconds(1));
        var path = worker.File("disk0.vhdx");
        for (var i = 0; i < 5; i++)
        {
            var job = Guid.NewGuid();
            var target = worker.File($"moved{i}.vhdx");
            Assert.Null((await worker.AskAsync(new StartMirror("disk0", job, target, null), _ct)).Problem);
            await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
            var restart = Task.Run(() => worker.AskAsync(new RestartWorker(), _ct), _ct);
            await Task.Delay(i, _ct);
            // Answered by whichever worker gets to it: the old one switches first, or the new one once its mirror is verified again.
            await UntilDoneAsync(worker, new SwitchMirror("disk0", job));
            Assert.Null((await restart).Problem);
            await UntilDoneAsync(worker, new ForgetMirror("disk0", job, RetainSource: false));
            Assert.Equal(target, (await worker.DiskAsync(_ct)).Path);
            path = target;
        }

        await writers.StopAsync();
        await worker.StopAsync(_ct);
        Assert.Equal(0, writers.Errors);
        writers.Check(await Tools.ToRawAsync(path, _ct));
    }

    /// <summary>As a job does it: a worker that ends refuses, and a mirror that was just taken up again is not verified yet.</summary>
    private async Task UntilDoneAsync(WorkerUnderTest worker, WorkerRequest request)
    {
        while ((await worker.AskAsync(request, _ct)).Problem is { } problem)
        {
            Assert.True(problem.Code is ErrorCode.WrongState or ErrorCode.Unavailable, problem.ToString());
            await Task.Delay(10, _ct);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_worker_without_its_supervisor_refuses_and_goes_on()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var before = await worker.StatusAsync(_ct);
        worker.Supervisor.Kill();
        await worker.Supervisor.WaitForExitAsync(_ct);
        var reply = await worker.AskAsync(new RestartWorker(), _ct);
        Assert.Equal(ErrorCode.WrongState, reply.Problem?.Code);
        Assert.Equal(before.ProcessId, (await worker.StatusAsync(_ct)).ProcessId);
    }

    [Fact(Timeout = 120_000)]
    public async Task An_upgraded_program_takes_the_place_of_supervisor_and_worker_under_load()
    {
        await using var worker = WorkerUnderTest.Create("disk0.vhdx");
        using var installed = new InstalledPrograms(worker.File("installed"));
        await worker.MakeImageAsync(worker.File("disk0.vhdx"), Size, _ct);
        worker.Supervise(program: installed.Program);
        await worker.StatusAsync(_ct);
        var supervisor = worker.Supervisor.Id;
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 4, seed: 8);
        for (var i = 1; i <= 3; i++)
        {
            installed.Upgrade();
            Assert.NotEqual(installed.Inode, InstalledPrograms.InodeOf($"/proc/{supervisor}/exe"));
            var stall = await writers.StallAsync(() => worker.RestartAsync(_ct), _ct);
            var status = await worker.StatusAsync(_ct);
            Assert.Equal((i, supervisor), (status.Restarts, status.SupervisorProcessId));
            Assert.Equal(installed.Inode, InstalledPrograms.InodeOf($"/proc/{supervisor}/exe"));
            Assert.Equal(installed.Inode, InstalledPrograms.InodeOf($"/proc/{status.ProcessId}/exe"));
            output.WriteLine($"upgrade {i}: stall {stall.TotalMilliseconds:F0} ms");
        }

        // The new supervisor does all that the first one did.
        await writers.StallAsync(() => Task.FromResult(worker.KillWorker()), _ct);
        await writers.StopAsync();
        var second = worker.Supervise();
        await second.WaitForExitAsync(_ct);
        Assert.Contains($"another supervisor (process {supervisor})", await second.StandardError.ReadToEndAsync(_ct), StringComparison.Ordinal);
        await worker.AskAsync(new StopWorker(), _ct);
        writers.Check(await Tools.ToRawAsync(worker.File("disk0.vhdx"), _ct));
        Assert.Equal((0, 0), (writers.Refused, writers.Errors));
    }

    [Theory(Timeout = 180_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_SIGTERM_in_the_middle_of_a_restart_ends_supervisor_and_worker(bool upgraded)
    {
        const int Rounds = 25;
        await using var worker = WorkerUnderTest.Create("disk0.vhdx");
        using var installed = new InstalledPrograms(worker.File("installed"));
        await worker.MakeImageAsync(worker.File("disk0.vhdx"), Size, _ct);
        var ended = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var supervisor = worker.Supervise(program: installed.Program);
            await worker.StatusAsync(_ct);
            if (upgraded)
                installed.Upgrade();
            var restart = worker.TrySendAsync("""{"command":"restart"}""", _ct);

            // From before the restart has begun until after it is over.
            await Task.Delay(round * 4, _ct);
            await Tools.RunAsync(["kill", "-TERM", supervisor.Id.ToString(CultureInfo.InvariantCulture)], _ct);
            await supervisor.WaitForExitAsync(_ct).WaitAsync(TimeSpan.FromSeconds(20), _ct);
            await restart;

            // 143: it had just become the new program, and had no worker.
            Assert.True(supervisor.ExitCode == 0 || (upgraded && supervisor.ExitCode == 143), $"exit code {supervisor.ExitCode}\n{worker.Log}");
            ended += supervisor.ExitCode == 0 ? 0 : 1;

            // Held as long as a thread of a worker lives: then opening it for ourselves, which takes the same lock, fails.
            File.OpenHandle(Path.Combine(worker.Config, "worker.lock"), access: FileAccess.ReadWrite, share: FileShare.None).Dispose();
        }

        var restarts = worker.Log.Split("serves, start 1").Length - 1;
        Assert.InRange(restarts, 0, Rounds - 1);
        output.WriteLine($"{Rounds} signals: {restarts} after the next worker served, {ended} ended a supervisor that was becoming the new program");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_request_that_takes_too_long_is_sent_again_and_not_failed()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(RequestsPerSecond: 1)), _ct);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 20, seed: 9);
        while ((await worker.DiskAsync(_ct)).Connections < 20)
            await Task.Delay(10, _ct);
        await worker.RestartAsync(_ct);
        await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec()), _ct);
        await writers.StallAsync(() => Task.CompletedTask, _ct);
        Assert.Equal(0, writers.Errors);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_program_that_is_gone_or_cannot_be_run_is_passed_over(bool gone)
    {
        Assert.SkipUnless(InstalledPrograms.StartsWithoutName, "only a program compiled ahead of time (GODWIT_PROGRAMS) starts without its name");
        await using var worker = WorkerUnderTest.Create("disk0.img");
        using var installed = new InstalledPrograms(worker.File("installed"));
        await worker.MakeImageAsync(worker.File("disk0.img"), Size, _ct);
        worker.Supervise(program: installed.Program);
        var before = await worker.StatusAsync(_ct);
        installed.Replace(gone ? null : "no program at all"u8.ToArray());
        var after = await worker.RestartAsync(_ct);
        Assert.Equal((1, before.SupervisorProcessId), (after.Restarts, after.SupervisorProcessId));
    }
}
