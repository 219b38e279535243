using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Godwit.Api;
using Godwit.ControlPlane.Access;
using Godwit.Host.Access;
using Microsoft.AspNetCore.Http.Features;

namespace Godwit.Host.Http;

/// <summary>A POST with an Idempotency-Key is done once: the same caller with the same key and request gets the answer of the
/// first time, for a day. What was refused or failed may be tried again.</summary>
internal sealed class RepeatedRequests(RequestDelegate next, AnswerStore answers)
{
    private const string Header = "Idempotency-Key";
    private const int LongestKey = 128;

    public Task InvokeAsync(HttpContext context)
    {
        var key = context.Request.Headers[Header].ToString();
        return key.Length == 0 || !HttpMethods.IsPost(context.Request.Method) || context.GetEndpoint() is not RouteEndpoint endpoint
            ? next(context)
            : RunAsync(context, endpoint, key);
    }

    private async Task RunAsync(HttpContext context, RouteEndpoint endpoint, string key)
    {
        if (key.Length > LongestKey || key.Any(c => c is <= ' ' or > '~'))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"{Header} has 1 to {LongestKey} visible characters of ASCII.");
        }
        if (endpoint.Metadata.GetMetadata<AnswersWithSecret>() is not null)
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"{Header} is not possible here: the answer holds a secret, and would have to be stored.");
        }
        var caller = Caller.Of(context).Name;
        var (kind, answer) = answers.Begin(caller, key, await HashAsync(context));
        switch (kind)
        {
            case RepeatKind.Different:
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"The {Header} '{key}' was used for another request.", "Use a new key for each new request.");
            case RepeatKind.Unanswered:
                throw new GodwitException(
                    ErrorCode.Busy, $"The request with the {Header} '{key}' is being done, or godwitd ended in the middle of it.",
                    "Wait for it; if it does not end, look at what has become of it and use a new key.");
            case RepeatKind.Answered:
                await SendAsync(context, answer!);
                return;
            default:
                await DoAsync(context, caller, key);
                return;
        }
    }

    private async Task DoAsync(HttpContext context, string caller, string key)
    {
        var client = context.Response.Body;
        using var captured = new MemoryStream();
        context.Response.Body = captured;
        var done = false;
        try
        {
            await next(context);
            var response = context.Response;
            if (response.StatusCode is >= 200 and < 300)
            {
                answers.Complete(caller, key, new StoredAnswer(
                    response.StatusCode, response.ContentType, response.Headers.Location.ToString() is { Length: > 0 } location ? location : null,
                    captured.ToArray()));
                done = true;
            }
        }
        finally
        {
            context.Response.Body = client;
            if (!done)
            {
                answers.Forget(caller, key);
            }
        }
        captured.Position = 0;
        await captured.CopyToAsync(client, context.RequestAborted);
    }

    private static async Task SendAsync(HttpContext context, StoredAnswer answer)
    {
        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = answer.ContentType;
        context.Response.Headers["Idempotent-Replayed"] = "true";
        if (answer.Location is not null)
        {
            context.Response.Headers.Location = answer.Location;
        }
        await context.Response.Body.WriteAsync(answer.Body);
    }

    // Method, target and body; the body stays readable, in memory: it has 1 MiB at most.
    private static async Task<byte[]> HashAsync(HttpContext context)
    {
        context.Request.EnableBuffering(bufferThreshold: 2 << 20);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{context.Request.Method} {context.Features.Get<IHttpRequestFeature>()?.RawTarget}\n"));
        var buffer = ArrayPool<byte>.Shared.Rent(16 << 10);
        try
        {
            for (int count; (count = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0;)
            {
                hash.AppendData(buffer, 0, count);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        context.Request.Body.Position = 0;
        return hash.GetHashAndReset();
    }
}

/// <summary>Marks an endpoint whose answer must not be stored.</summary>
internal sealed class AnswersWithSecret
{
    public static AnswersWithSecret Mark { get; } = new();
}
