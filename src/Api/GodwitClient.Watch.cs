using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Godwit.Api.Jobs;

namespace Godwit.Api;

/// <content>Watching a job over server-sent events, and by polling where the stream was cut.</content>
public sealed partial class GodwitClient
{
    /// <summary>Follows a job until it has ended. Survives a cut stream and a restart of the daemon.</summary>
    /// <param name="id">The job.</param>
    /// <param name="options">How patiently to watch.</param>
    /// <param name="cancellationToken">Stops watching; the job goes on.</param>
    /// <returns>The job each time something has changed, and at the end as it ended. The same state may come twice.</returns>
    /// <exception cref="GodwitException">There is no such job, or the daemon stayed away for longer than
    /// <see cref="JobWatchOptions.Patience"/>.</exception>
    public async IAsyncEnumerable<Job> WatchJobAsync(
        Guid id, JobWatchOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            await foreach (var job in ReadUntilCutAsync(id, options, cancellationToken).ConfigureAwait(false))
            {
                yield return job;
                if (job.HasEnded)
                    yield break;
            }

            // The stream ended before the job did. One question tells what is true now; then the stream is tried again.
            var now = await AskPatientlyAsync(id, options, cancellationToken).ConfigureAwait(false);
            yield return now;
            if (now.HasEnded)
                yield break;
            await Task.Delay(options.PollInterval, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<Job> ReadUntilCutAsync(
        Guid id, JobWatchOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(options.SilenceLimit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        var events = ReadEventsAsync(id, both.Token).GetAsyncEnumerator(both.Token);
        await using (events.ConfigureAwait(false))
        {
            while (await MoveUnlessCutAsync(events, cancellationToken).ConfigureAwait(false))
            {
                silence.CancelAfter(options.SilenceLimit);
                yield return events.Current;
            }
        }
    }

    /// <summary>Every way a stream can be cut is the same to the watcher: it asks instead.</summary>
    private static async ValueTask<bool> MoveUnlessCutAsync(IAsyncEnumerator<Job> events, CancellationToken cancellationToken)
    {
        try
        {
            return await events.MoveNextAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private async IAsyncEnumerable<Job> ReadEventsAsync(Guid id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"v1/jobs/{id}/events");
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken)
            .ConfigureAwait(false);
        if (!response.IsSuccessStatusCode || response.Content.Headers.ContentType?.MediaType != "text/event-stream")
            yield break;

        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var parser = SseParser.Create(stream, ParseEvent);
        await foreach (var item in parser.EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (item.Data is Job job)
                yield return job;
        }
    }

    // Events of other names are for newer clients; an empty one only keeps the connection open.
    private static Job? ParseEvent(string name, ReadOnlySpan<byte> data) =>
        name != "job" || data.IsEmpty ? null : JsonSerializer.Deserialize(data, ApiJson.Default.Job);

    private async Task<Job> AskPatientlyAsync(Guid id, JobWatchOptions options, CancellationToken cancellationToken)
    {
        long? awaySince = null;
        while (true)
        {
            try
            {
                return await GetJobAsync(id, cancellationToken).ConfigureAwait(false);
            }
            catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable)
            {
                if (awaySince is long since && _time.GetElapsedTime(since) >= options.Patience)
                    throw;
                if (awaySince is null)
                    options.Interrupted?.Invoke(e.Problem.Title);
                awaySince ??= _time.GetTimestamp();
            }

            await Task.Delay(options.PollInterval, _time, cancellationToken).ConfigureAwait(false);
        }
    }
}
