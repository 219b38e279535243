using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.Host.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Godwit.Host.Access;

/// <summary>Puts every request to change something into the audit log: what is allowed before it is done, and its result
/// after; what is refused once it is.</summary>
internal sealed class AuditTrail(AuditLog log, TimeProvider time, ILogger<AuditTrail> errors)
{
    private static readonly object Mark = new();

    /// <summary>The outermost step of every request.</summary>
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers["X-Request-Id"] = context.TraceIdentifier;
        try
        {
            await next(context);
        }
        finally
        {
            // What is held back for coming too often would fill the log, and the disk's time.
            if (Changes(context) && ProblemAnswers.CodeOf(context) != ErrorCode.TooManyRequests)
            {
                End(context);
            }
        }
    }

    /// <summary>Writes down what is about to be done. When that fails, it is not done.</summary>
    public void Begin(HttpContext context)
    {
        if (Changes(context))
        {
            context.Items[Mark] = log.Add(Entry(context, null), refused: false);
        }
    }

    private void End(HttpContext context)
    {
        try
        {
            if (context.Items.TryGetValue(Mark, out var number))
            {
                log.Complete((long)number!, context.Response.StatusCode, ProblemAnswers.CodeOf(context));
            }
            else
            {
                log.Add(Entry(context, context.Response.StatusCode), refused: true);
            }
        }
        catch (GodwitException e)
        {
            // It has been answered already: what is left is the log of the daemon.
            errors.LogError(
                e, "The audit log could not be written: {Caller} {Method} {Path} {Status}", Caller.Of(context).Name,
                context.Request.Method, context.Request.Path, context.Response.StatusCode);
        }
    }

    private static bool Changes(HttpContext context) =>
        !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method);

    private AuditEntry Entry(HttpContext context, int? status)
    {
        var caller = Caller.Of(context);
        return new AuditEntry(
            0, time.GetUtcNow(), caller.Name, caller.Role, caller.Origin, context.Connection.RemoteIpAddress?.ToString(),
            context.Request.Method, context.GetEndpoint() is RouteEndpoint endpoint ? EndpointRoles.PatternOf(endpoint) : null,
            // As it was sent: still encoded, so that nothing in it can pass for something else in a terminal.
            context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "", status, status is null ? null : ProblemAnswers.CodeOf(context),
            context.TraceIdentifier);
    }
}
