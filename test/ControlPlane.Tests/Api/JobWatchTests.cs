using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Xunit;

namespace Godwit.ControlPlane.Tests.Api;

public sealed class JobWatchTests
{
    private static readonly JobWatchOptions Impatient = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(300));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static byte[] WholeStream { get; } = Encoding.UTF8.GetBytes(
        ": hello\n\n" + Event(Samples.Job(JobState.Running, "Prepare")) + "event: other\r\ndata: {\"new\":1}\r\n\r\n"
        + Event(Samples.Job(JobState.Running, "Copy", Samples.Progress(50))).Replace("\n", "\r\n", StringComparison.Ordinal)
        + Event(Samples.Job(JobState.Succeeded, "Finish")));

    [Fact(Timeout = 30_000)]
    public async Task A_stream_sent_byte_by_byte_is_read_whole()
    {
        await using var daemon = new FakeDaemon(async (_, stream, token) =>
        {
            await FakeDaemon.BeginEventsAsync(stream);
            foreach (var one in WholeStream)
                await stream.WriteAsync(new[] { one }, token);
        });
        Assert.Equal(["Prepare", "Copy", "Finish"], (await WatchAsync(daemon)).Select(job => job.Phase));
        Assert.Single(daemon.Requests);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_stream_cut_at_any_byte_is_finished_by_asking()
    {
        var cut = 0;
        var asked = 0;
        await using var daemon = new FakeDaemon(async (request, stream, token) =>
        {
            if (request.Path.EndsWith("/events", StringComparison.Ordinal))
            {
                await FakeDaemon.BeginEventsAsync(stream);
                await stream.WriteAsync(WholeStream.AsMemory(0, cut), token);
                return;
            }

            asked++;
            await FakeDaemon.WriteAsync(stream, Samples.Job(JobState.Succeeded, "Finish"), ApiJson.Default.Job);
        });
        for (; cut < WholeStream.Length; cut++)
        {
            asked = 0;
            var seen = await WatchAsync(daemon);
            Assert.Equal(JobState.Succeeded, seen[^1].State);
            Assert.Equal(1, seen.Count(job => job.HasEnded));
            Assert.True(asked <= 1, $"asked {asked} times after a cut at byte {cut}");
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task After_a_cut_the_stream_is_opened_again()
    {
        var streams = 0;
        await using var daemon = new FakeDaemon(async (request, stream, token) =>
        {
            if (!request.Path.EndsWith("/events", StringComparison.Ordinal))
            {
                await FakeDaemon.WriteAsync(stream, Samples.Job(JobState.Running, "InSync"), ApiJson.Default.Job);
                return;
            }

            await FakeDaemon.BeginEventsAsync(stream);
            var job = ++streams == 1 ? Samples.Job(JobState.Running) : Samples.Job(JobState.Succeeded, "Finish");
            await stream.WriteAsync(Encoding.UTF8.GetBytes(Event(job)), token);
        });
        Assert.Equal(["Copy", "InSync", "Finish"], (await WatchAsync(daemon)).Select(job => job.Phase));
        Assert.Equal(2, streams);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_daemon_without_streams_is_polled()
    {
        var left = 3;
        await using var daemon = FakeDaemon.Answering(request => request.Path.EndsWith("/events", StringComparison.Ordinal)
            ? (404, "")
            : (200, JsonSerializer.Serialize(Samples.Job(--left > 0 ? JobState.Running : JobState.Cancelled), ApiJson.Default.Job)));
        Assert.Equal([JobState.Running, JobState.Running, JobState.Cancelled], (await WatchAsync(daemon)).Select(job => job.State));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_silent_stream_counts_as_cut()
    {
        await using var daemon = new FakeDaemon(async (request, stream, token) =>
        {
            if (request.Path.EndsWith("/events", StringComparison.Ordinal))
            {
                await FakeDaemon.BeginEventsAsync(stream);
                await Task.Delay(Timeout.Infinite, token);
            }

            await FakeDaemon.WriteAsync(stream, Samples.Job(JobState.Failed), ApiJson.Default.Job);
        });
        var seen = await WatchAsync(daemon, Impatient with { SilenceLimit = TimeSpan.FromMilliseconds(50) });
        Assert.Equal(JobState.Failed, Assert.Single(seen).State);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_daemon_that_comes_back_in_time_is_waited_for_and_told_of_once()
    {
        var requests = 0;
        await using var daemon = new FakeDaemon((_, stream, _) => ++requests < 20
            ? Task.CompletedTask
            : FakeDaemon.WriteAsync(stream, Samples.Job(JobState.Succeeded), ApiJson.Default.Job));
        var told = new List<string>();
        var seen = await WatchAsync(daemon, Impatient with { Patience = TimeSpan.FromSeconds(5), Interrupted = told.Add });
        Assert.Equal(JobState.Succeeded, Assert.Single(seen).State);
        Assert.Single(told);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_daemon_that_stays_away_fails_the_watch()
    {
        await using var daemon = new FakeDaemon((_, _, _) => Task.CompletedTask);
        var thrown = await Assert.ThrowsAsync<GodwitException>(() => WatchAsync(daemon));
        Assert.Equal(ErrorCode.Unavailable, thrown.Problem.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_job_that_does_not_exist_fails_the_watch_at_once()
    {
        await using var daemon = FakeDaemon.Answering(_ => (404, """{"code":"NotFound","title":"no job"}"""));
        Assert.Equal(ErrorCode.NotFound, (await Assert.ThrowsAsync<GodwitException>(() => WatchAsync(daemon))).Problem.Code);
        Assert.Equal(2, daemon.Requests.Count);
    }

    [Fact(Timeout = 30_000)]
    public async Task Cancelling_stops_watching_and_does_not_touch_the_job()
    {
        await using var daemon = new FakeDaemon(async (_, stream, token) =>
        {
            await FakeDaemon.BeginEventsAsync(stream);
            await Task.Delay(Timeout.Infinite, token);
        });
        using var client = daemon.NewClient();
        using var cancel = new CancellationTokenSource(50);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in client.WatchJobAsync(Samples.JobId, JobWatchOptions.Default, cancel.Token))
                Assert.Fail("nothing was sent");
        });
        Assert.All(daemon.Requests, request => Assert.Equal("GET", request.Method));
    }

    private static string Event(Job job) => $"event: job\ndata: {JsonSerializer.Serialize(job, ApiJson.Default.Job)}\n\n";

    private static async Task<List<Job>> WatchAsync(FakeDaemon daemon, JobWatchOptions? options = null)
    {
        using var client = daemon.NewClient();
        var seen = new List<Job>();
        await foreach (var job in client.WatchJobAsync(Samples.JobId, options ?? Impatient, Token))
            seen.Add(job);
        return seen;
    }
}
