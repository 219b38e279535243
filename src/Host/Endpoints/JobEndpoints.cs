using Godwit.ControlPlane.Jobs;
using Godwit.Host.Http;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/jobs</summary>
internal static class JobEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var jobs = routes.MapGroup("/v1/jobs").WithTags("Jobs").ProducesProblem(StatusCodes.Status500InternalServerError);
        jobs.MapGet("", (JobRunner runner) => runner.List()).WithSummary("All jobs that are remembered, oldest first.");
        jobs.MapGet("/{id:guid}", (Guid id, JobRunner runner) => runner.Get(id)).WithSummary("One job.");
        jobs.MapPost("/{id:guid}/cancel", (Guid id, JobRunner runner) => runner.Cancel(id))
            .WithSummary("Asks a job to undo what it did; answers at once.");
        jobs.MapGet("/{id:guid}/events", WatchAsync).WithSummary("The job as server-sent events named 'job', until it has ended.");
    }

    private static async Task WatchAsync(
        Guid id, HttpContext context, JobRunner runner, TimeProvider time, IHostApplicationLifetime lifetime)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            await JobEventStream.WriteAsync(context, runner, id, time, both.Token);
        }
        catch (OperationCanceledException) when (context.Response.HasStarted)
        {
            // The watcher went away, or we do: a cut stream is what the client is prepared for.
        }
    }
}
