using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Jobs;

namespace Godwit.Host.Http;

/// <summary>A job as server-sent events: one "job" event now, one after each change, and the last when it has ended.</summary>
internal static class JobEventStream
{
    /// <summary>Progress is shown to people: more often than this helps nobody.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>A job that does not change is sent again, so that either side notices a dead connection.</summary>
    private static readonly TimeSpan Repeat = TimeSpan.FromSeconds(5);

    public static async Task WriteAsync(HttpContext context, JobRunner jobs, Guid id, TimeProvider time, CancellationToken cancellationToken)
    {
        // Before the first byte: an unknown job is a 404, not an empty stream.
        jobs.Get(id);
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        await using var changes = jobs.WatchAsync(id, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var next = changes.MoveNextAsync().AsTask();
        while (true)
        {
            if (await Task.WhenAny(next, Task.Delay(Repeat, time, cancellationToken)) != next)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await SendAsync(context, jobs.Get(id), cancellationToken);
                continue;
            }
            if (!await next)
            {
                return;
            }
            await SendAsync(context, changes.Current, cancellationToken);
            if (!changes.Current.HasEnded)
            {
                await Task.Delay(Pause, time, cancellationToken);
            }
            next = changes.MoveNextAsync().AsTask();
        }
    }

    private static async Task SendAsync(HttpContext context, Job job, CancellationToken cancellationToken)
    {
        await context.Response.Body.WriteAsync("event: job\ndata: "u8.ToArray(), cancellationToken);
        await context.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(job, ApiJson.Default.Job), cancellationToken);
        await context.Response.Body.WriteAsync("\n\n"u8.ToArray(), cancellationToken);
        await context.Response.Body.FlushAsync(cancellationToken);
    }
}
