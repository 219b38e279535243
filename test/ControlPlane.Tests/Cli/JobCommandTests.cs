using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class JobCommandTests
{
    private static readonly Job Copying = Samples.Job(JobState.Running, "Copy", Samples.Progress(50));

    [Fact(Timeout = 30_000)]
    public async Task A_list_is_a_table_with_short_ids()
    {
        await using var daemon = new FakeJob(Copying).Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            """
            ID        KIND          VM   STATE    PHASE    DONE  CREATED
            3f2a9c01  move-storage  web  Running  Copy   50.0 %  2026-03-01 12:00:00Z

            """,
            (await run.RunAsync("job", "list")).Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task Show_takes_the_beginning_of_an_id_and_has_steps_and_notes()
    {
        await using var daemon = new FakeJob(Copying with { Notes = ["godwitd was restarted"] }).Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            """
            Id:          3f2a9c01-1111-2222-3333-444455556666
            Kind:        move-storage
            VM:          web
            State:       Running
            Phase:       Copy
            Progress:    50.0 %, 4 GiB of 8 GiB, 210 MiB/s, 0:19 left
            Can cancel:  yes
            Created:     2026-03-01 12:00:00Z

            PHASE    STEP               STATE
            Prepare  create the target  done
            Copy     copy disk0         running

            note: godwitd was restarted

            """,
            (await run.RunAsync("job", "show", "3F2A")).Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_unknown_id_is_not_found()
    {
        await using var daemon = new FakeJob(Copying).Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            new CliResult(ExitCode.NotFound, "", "error: there is no job ffff\nremedy: godwit job list shows the jobs there are\n"),
            await run.RunAsync("job", "watch", "ffff"));
    }

    [Fact(Timeout = 30_000)]
    public async Task An_id_that_fits_two_jobs_is_refused()
    {
        IReadOnlyList<Job> jobs = [Copying, Copying with { Id = Guid.Parse("3f2a9c02-1111-2222-3333-444455556666") }];
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(jobs, ApiJson.Default.IReadOnlyListJob)));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("job", "cancel", "3f2a");
        Assert.Equal(new CliResult(ExitCode.Failed, "", "error: 2 jobs begin with 3f2a\nremedy: give more of the id\n"), result);
        Assert.DoesNotContain(daemon.Requests, request => request.Method == "POST");
    }

    [Theory(Timeout = 30_000)]
    [InlineData(JobState.Succeeded, ExitCode.Ok)]
    [InlineData(JobState.Failed, ExitCode.Failed)]
    [InlineData(JobState.Cancelled, ExitCode.Cancelled)]
    public async Task Watch_exits_as_the_job_ended(JobState state, int code)
    {
        await using var daemon = new FakeJob(Copying, Samples.Job(state)).Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(code, (await run.RunAsync("job", "watch", $"{Samples.JobId}")).Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task Interrupting_watch_leaves_the_job_alone()
    {
        var job = new FakeJob(Copying);
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync("job", "watch", $"{Samples.JobId}");
        while (!run.ErrorSoFar.Contains("Copy:", StringComparison.Ordinal))
            await Task.Delay(5, TestContext.Current.CancellationToken);
        run.Interrupt();
        var result = await running;
        Assert.Equal(ExitCode.Cancelled, result.Code);
        Assert.Contains("the job goes on", result.Error, StringComparison.Ordinal);
        Assert.False(job.CancelAsked);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(JobState.Cancelled, ExitCode.Ok)]
    [InlineData(JobState.Succeeded, ExitCode.Failed)]
    [InlineData(JobState.Failed, ExitCode.Failed)]
    public async Task Cancel_waits_and_succeeds_only_when_the_job_was_cancelled(JobState end, int code)
    {
        FakeJob job = null!;
        job = new FakeJob(Copying) { OnCancel = () => Samples.Job(end) };
        await using var daemon = job.Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(code, (await run.RunAsync("job", "cancel", "3f2a9c01")).Code);
        Assert.True(job.CancelAsked);
    }

    [Fact(Timeout = 30_000)]
    public async Task Cancel_without_waiting_returns_once_the_job_is_asked()
    {
        await using var daemon = new FakeJob(Copying) { OnCancel = () => Samples.Job(JobState.Undoing) }.Serve();
        using var run = CliRun.Against(daemon);
        Assert.Equal(
            new CliResult(ExitCode.Ok, "", "asked; watch it with: godwit job watch 3f2a9c01\n"),
            await run.RunAsync("job", "cancel", "3f2a9c01", "--no-wait"));
    }
}
