using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class SupervisorTests(ITestOutputHelper output)
{
    private const long Size = 16 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task Sockets_and_their_folder_are_for_the_owner_only()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(owner, File.GetUnixFileMode(worker.NbdSocket));
        Assert.Equal(owner, File.GetUnixFileMode(worker.ControlSocket));
        Assert.Equal(owner | UnixFileMode.UserExecute, File.GetUnixFileMode(worker.Run));
        Assert.Equal(owner, File.GetUnixFileMode(Path.Combine(worker.Config, "worker.log")));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_second_supervisor_for_the_same_folder_is_refused()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var first = worker.Supervisor;
        var second = worker.Supervise();
        await second.WaitForExitAsync(_ct);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains($"another supervisor (process {first.Id})", await second.StandardError.ReadToEndAsync(_ct), StringComparison.Ordinal);
        Assert.Equal(first.Id, (await worker.StatusAsync(_ct)).SupervisorProcessId);
    }

    [Fact(Timeout = 30_000)]
    public async Task Stop_ends_worker_and_supervisor_and_removes_the_sockets()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        Assert.Equal(0, await worker.StopAsync(_ct));
        Assert.Empty(Directory.GetFiles(worker.Run));
    }

    [Fact(Timeout = 30_000)]
    public async Task Terminating_the_supervisor_stops_the_worker_cleanly()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await Tools.RunAsync(["kill", "-TERM", $"{worker.Supervisor.Id}"], _ct);
        await worker.Supervisor.WaitForExitAsync(_ct);
        Assert.Equal(0, worker.Supervisor.ExitCode);
        Assert.Contains("stopped", worker.Log, StringComparison.Ordinal);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("HUP")]
    [InlineData("INT")]
    public async Task A_closed_terminal_ends_neither_worker_nor_supervisor(string signal)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var before = await worker.StatusAsync(_ct);
        await Tools.RunAsync(["kill", $"-{signal}", $"{worker.Supervisor.Id}", $"{before.ProcessId}"], _ct);
        await Task.Delay(200, _ct);
        var after = await worker.StatusAsync(_ct);
        Assert.Equal((before.ProcessId, before.SupervisorProcessId), (after.ProcessId, after.SupervisorProcessId));
    }

    [Fact(Timeout = 30_000)]
    public async Task The_worker_goes_on_without_its_supervisor_and_the_next_one_takes_over()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await using var held = await worker.ConnectAsync("disk0", _ct);
        var before = await worker.StatusAsync(_ct);
        worker.Supervisor.Kill();
        await worker.Supervisor.WaitForExitAsync(_ct);

        var data = new byte[4096];
        data.AsSpan().Fill(0x5a);
        await held.WriteAsync(4096, data, WriteFlags.None, _ct);
        await using (await worker.ConnectAsync("disk0", _ct))
        {
            var orphan = await worker.StatusAsync(_ct);
            Assert.Equal(before.ProcessId, orphan.ProcessId);
            Assert.Null(orphan.SupervisorProcessId);
        }

        var next = worker.Supervise();
        var after = await WaitForSupervisorAsync(worker, next.Id);
        Assert.NotEqual(before.ProcessId, after.ProcessId);
        Assert.False(IsAlive(before.ProcessId), "the old worker still runs beside the new one");
        await using var again = await worker.ConnectAsync("disk0", _ct);
        var read = new byte[4096];
        await again.ReadAsync(4096, read, _ct);
        Assert.Equal(data, read);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_worker_that_dies_at_once_is_started_ever_more_slowly()
    {
        await using var worker = WorkerUnderTest.Create("disk0.img");
        await File.WriteAllTextAsync(worker.ConfigFile, "{ this is not JSON", _ct);
        worker.Supervise();
        await Task.Delay(3000, _ct);
        var starts = worker.Log.Split("starting another").Length - 1;
        output.WriteLine($"{starts} restarts in 3 s");
        Assert.InRange(starts, 3, 12);
        Assert.Contains("cannot read", worker.Log, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_folder_without_configuration_is_refused()
    {
        await using var worker = WorkerUnderTest.Create("disk0.img");
        File.Delete(worker.ConfigFile);
        var supervisor = worker.Supervise();
        await supervisor.WaitForExitAsync(_ct);
        Assert.Equal(1, supervisor.ExitCode);
        Assert.Contains("worker.json does not exist", await supervisor.StandardError.ReadToEndAsync(_ct), StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Supervisor_and_worker_are_small()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var status = await worker.StatusAsync(_ct);
        var supervisor = ResidentKibibytes(status.SupervisorProcessId!.Value);
        var serving = ResidentKibibytes(status.ProcessId);
        output.WriteLine($"resident: supervisor {supervisor} KiB, worker {serving} KiB ({WorkerUnderTest.Program})");
        Assert.InRange(supervisor, 1, 64 * 1024);
    }

    private static int ResidentKibibytes(int process)
    {
        var line = File.ReadLines($"/proc/{process}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static bool IsAlive(int process)
    {
        // Dead, its entry stays until whoever inherited it looks: state Z.
        var status = $"/proc/{process}/status";
        return File.Exists(status) && !File.ReadAllText(status).Contains("State:\tZ", StringComparison.Ordinal);
    }

    private async Task<WorkerStatus> WaitForSupervisorAsync(WorkerUnderTest worker, int supervisor)
    {
        while (true)
        {
            var reply = await worker.AskAsync(new GetStatus(), _ct);
            if (reply.Status?.SupervisorProcessId == supervisor)
                return reply.Status;
            Assert.True(reply.Problem is null or { Code: ErrorCode.Unavailable });
            await Task.Delay(10, _ct);
        }
    }
}
