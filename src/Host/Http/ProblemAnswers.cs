using System.Text.Json;
using Godwit.Api;

namespace Godwit.Host.Http;

/// <summary>Makes every failure a problem document: thrown, unknown route, wrong method, bad body.</summary>
internal sealed class ProblemAnswers(RequestDelegate next, ILogger<ProblemAnswers> log)
{
    private static readonly object Mark = new();

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
            {
                await WriteAsync(context, context.Response.StatusCode, Plain(context));
            }
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            var (status, problem) = Describe(context, e);
            if (problem.Code is ErrorCode.Internal or ErrorCode.IoFailed)
            {
                log.LogError(e, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
            }
            await WriteAsync(context, status, problem);
        }
    }

    public static Task WriteAsync(HttpContext context, int status, Problem problem)
    {
        context.Items[Mark] = problem.Code;
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/problem+json";
        return context.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(problem, ApiJson.Default.Problem)).AsTask();
    }

    /// <summary>The error code a request was answered with; null when it was none.</summary>
    public static ErrorCode? CodeOf(HttpContext context) => context.Items.TryGetValue(Mark, out var code) ? (ErrorCode?)code : null;

    private static (int Status, Problem Problem) Describe(HttpContext context, Exception e) => e switch
    {
        GodwitException known => (ProblemStatus.Of(known.Problem.Code), known.Problem),
        BadHttpRequestException bad => (bad.StatusCode, new Problem(
            ErrorCode.InvalidRequest, bad.InnerException is JsonException json ? $"The body is not what is expected: {json.Message}" : bad.Message)),
        OperationCanceledException when context.RequestAborted.IsCancellationRequested => (499, new Problem(
            ErrorCode.Cancelled, "The client went away.")),
        OperationCanceledException => (503, new Problem(ErrorCode.Unavailable, "godwitd is shutting down.", "Try again when it is back.")),
        _ => (500, new Problem(ErrorCode.Internal, "godwitd failed: " + e.Message, "Its log has the details.")),
    };

    private static Problem Plain(HttpContext context) => context.Response.StatusCode switch
    {
        404 => new Problem(ErrorCode.NotFound, $"There is nothing at {context.Request.Path}.", "See /openapi/v1.json."),
        405 => new Problem(ErrorCode.InvalidRequest, $"{context.Request.Method} is not possible at {context.Request.Path}.", "See /openapi/v1.json."),
        415 => new Problem(ErrorCode.InvalidRequest, "The body must be JSON (Content-Type: application/json)."),
        var status => new Problem(ErrorCode.InvalidRequest, $"The request was refused with status {status}."),
    };
}
