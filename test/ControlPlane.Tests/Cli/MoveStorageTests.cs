using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class MoveStorageTests
{
    private static readonly string[] Move = ["vm", "move-storage", "web", "--to", "fast"];

    private static readonly Job Copying = Samples.Job(JobState.Running, "Copy", Samples.Progress(50));
    private static readonly Job Undoing = Samples.Job(JobState.Undoing);
    private static readonly Job Cancelled = Samples.Job(JobState.Cancelled);
    private static readonly Job Succeeded = Samples.Job(JobState.Succeeded, "Finish", Samples.Progress(100));

    [Fact(Timeout = 30_000)]
    public async Task A_move_is_watched_to_its_end_in_plain_lines()
    {
        var noted = Copying with { Notes = ["the worker was restarted"] };
        var job = new FakeJob(Samples.Job(JobState.Queued, "Validate"), Copying, noted, Samples.Job(JobState.Running, "InSync"), Succeeded with { Notes = noted.Notes });
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync(Move);
        Assert.Equal(
            """
            Queued
            Copy: 50.0 %, 4 GiB of 8 GiB, 210 MiB/s, 0:19 left
            the worker was restarted
            InSync
            move-storage of web succeeded after 1:23, 8 GiB copied

            """,
            result.Error);
        Assert.Equal((ExitCode.Ok, ""), (result.Code, result.Out));
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_asked_for_is_sent_with_absolute_paths()
    {
        await using var daemon = new FakeJob(Succeeded).Serve();
        using var run = CliRun.Against(daemon);
        await run.RunAsync([.. Move, "--disk", "disk0", "--disk", "disk1", "--retain-source", "--bandwidth", "100M", "--no-wait"]);
        var request = Assert.Single(daemon.Requests);
        Assert.Equal("POST /v1/vms/web/storage-moves", request.ToString());
        Assert.Equal(
            """{"destination":"/home/me/fast","disks":["disk0","disk1"],"retainSource":true,"bytesPerSecond":104857600,"dryRun":false}""", request.Body);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_last_state_is_the_json_and_nothing_else_is_on_stdout()
    {
        await using var daemon = new FakeJob(Copying, Succeeded).Serve();
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync([.. Move, "--json", "--quiet"]);
        Assert.Equal(JobState.Succeeded, JsonSerializer.Deserialize(result.Out, ApiJson.Default.Job)!.State);
        Assert.StartsWith("{\n  \"id\": \"3f2a9c01-1111-2222-3333-444455556666\",\n", result.Out, StringComparison.Ordinal);
        Assert.Equal("", result.Error);
    }

    [Fact(Timeout = 30_000)]
    public async Task Without_waiting_the_id_is_the_data()
    {
        await using var daemon = new FakeJob(Copying).Serve();
        using var text = CliRun.Against(daemon);
        var result = await text.RunAsync([.. Move, "--no-wait"]);
        Assert.Equal($"{Samples.JobId}\n", result.Out);
        Assert.Equal("the job goes on by itself; watch it with: godwit job watch 3f2a9c01\n", result.Error);
        using var json = CliRun.Against(daemon);
        var accepted = (await json.RunAsync([.. Move, "--no-wait", "--json"])).Out;
        Assert.Equal(JobState.Running, JsonSerializer.Deserialize(accepted, ApiJson.Default.Job)!.State);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_dry_run_shows_the_plan()
    {
        var plan = new StorageMovePlan([new("disk0", "/a/w.vhdx", "/b/w.vhdx", 3L << 30, 8L << 30)], ["Validate", "Copy"], 100L << 30);
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(plan, ApiJson.Default.StorageMovePlan)));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync([.. Move, "--dry-run"]);
        Assert.Equal(
            """
            DISK    SIZE  TO COPY  FROM       TO
            disk0  8 GiB    3 GiB  /a/w.vhdx  /b/w.vhdx

            Phases:     Validate, Copy
            To copy:    3 GiB
            Available:  100 GiB

            """,
            result.Out);
        Assert.Equal("nothing was changed\n", result.Error);
        Assert.Contains("\"dryRun\":true", Assert.Single(daemon.Requests).Body, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_failed_move_tells_why_and_exits_1()
    {
        var problem = new Problem(ErrorCode.NoSpace, "/mnt/fast is full", "make room");
        await using var daemon = new FakeJob(
            Copying, Samples.Job(JobState.Undoing, problem: problem), Samples.Job(JobState.Failed, problem: problem)).Serve();
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync(Move);
        Assert.Equal(
            """
            Copy: 50.0 %, 4 GiB of 8 GiB, 210 MiB/s, 0:19 left
            undoing because: /mnt/fast is full
            Undoing
            error: /mnt/fast is full
            remedy: make room
            move-storage of web failed after 1:23; what it had done is undone

            """,
            result.Error);
        Assert.Equal(ExitCode.Failed, result.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_first_interrupt_cancels_and_shows_the_undo()
    {
        FakeJob job = null!;
        job = new FakeJob(Copying) { OnCancel = () => Undoing };
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync(Move);
        await UntilAsync(() => run.ErrorSoFar.Contains("Copy:", StringComparison.Ordinal));
        Assert.True(run.Interrupt());
        await UntilAsync(() => run.ErrorSoFar.Contains("Undoing", StringComparison.Ordinal));
        job.Become(Cancelled);
        var result = await running;
        Assert.Equal(
            """
            Copy: 50.0 %, 4 GiB of 8 GiB, 210 MiB/s, 0:19 left
            cancelling; ^C again leaves the job alone (godwit job watch 3f2a9c01)
            Undoing
            move-storage of web was cancelled after 1:23; what it had done is undone

            """,
            result.Error);
        Assert.Equal(ExitCode.Cancelled, result.Code);
        Assert.True(job.CancelAsked);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_second_interrupt_lets_go_and_says_how_to_watch()
    {
        var job = new FakeJob(Copying) { OnCancel = () => Undoing };
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync(Move);
        await UntilAsync(() => run.ErrorSoFar.Contains("Copy:", StringComparison.Ordinal));
        run.Interrupt();
        await UntilAsync(() => run.ErrorSoFar.Contains("Undoing", StringComparison.Ordinal));
        Assert.True(run.Interrupt());
        var result = await running;
        Assert.EndsWith("the job goes on; watch it with: godwit job watch 3f2a9c01, stop it with: godwit job cancel 3f2a9c01\n", result.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Cancelled, result.Code);
        Assert.False(run.Interrupt());
    }

    [Fact]
    public void An_echo_of_an_interrupt_is_not_a_second_one()
    {
        var clock = new StillClock();
        using var interrupts = new Interrupts(clock);
        Assert.True(interrupts.Signal());
        clock.Advance(0.05);
        Assert.True(interrupts.Signal());
        Assert.Equal((true, false), (interrupts.First.IsCancellationRequested, interrupts.Second.IsCancellationRequested));
        clock.Advance(0.2);
        Assert.True(interrupts.Signal());
        Assert.True(interrupts.Second.IsCancellationRequested);
        clock.Advance(0.2);
        Assert.False(interrupts.Signal());
    }

    [Fact(Timeout = 30_000)]
    public async Task A_job_past_its_commit_point_is_not_cancelled_and_succeeds()
    {
        var job = new FakeJob(Copying);
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync(Move);
        await UntilAsync(() => run.ErrorSoFar.Contains("Copy:", StringComparison.Ordinal));
        run.Interrupt();
        await UntilAsync(() => run.ErrorSoFar.Contains("the job is not being cancelled: the commit point is passed", StringComparison.Ordinal));
        job.Become(Succeeded);
        Assert.Equal(ExitCode.Ok, (await running).Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task On_a_terminal_the_bar_goes_away_before_the_result()
    {
        await using var daemon = new FakeJob(Copying, Succeeded).Serve();
        using var run = CliRun.Against(daemon, terminal: true);
        var result = await run.RunAsync(Move);
        Assert.Contains("Copy       [\e[32m############\e[0m............]  50.0 %  4 GiB of 8 GiB  210 MiB/s  0:19 left", result.Error, StringComparison.Ordinal);
        Assert.EndsWith("\r\e[Kmove-storage of web succeeded after 1:23, 8 GiB copied\n", result.Error, StringComparison.Ordinal);
    }

    private static async Task UntilAsync(Func<bool> met)
    {
        while (!met())
            await Task.Delay(5, TestContext.Current.CancellationToken);
    }
}
