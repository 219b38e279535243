using Godwit.Api;

namespace Godwit.Host.Access;

/// <summary>Lets a request through whose caller has the role its endpoint takes, and has a change written down before it is
/// made.</summary>
internal sealed class AccessGate(RequestDelegate next, AuditTrail trail)
{
    public Task InvokeAsync(HttpContext context)
    {
        var caller = Caller.Of(context);
        // What is not one of our endpoints does nothing: it answers 404, 405 or 415, to those who are known.
        if (context.GetEndpoint() is not RouteEndpoint endpoint)
        {
            return caller == Caller.Nobody ? throw Unknown(context) : next(context);
        }
        var (method, pattern) = (context.Request.Method, EndpointRoles.PatternOf(endpoint));
        if (EndpointRoles.IsOpen(method, pattern))
        {
            return next(context);
        }
        if (caller == Caller.Nobody)
        {
            throw Unknown(context);
        }
        if (EndpointRoles.Of(method, pattern) is not { } lowest)
        {
            throw new GodwitException(
                ErrorCode.Forbidden, $"{method} {pattern} has no role and so is for nobody.",
                "This is a defect of godwitd (EndpointRoles).");
        }
        if (caller.Role is not { } role || role < lowest)
        {
            throw new GodwitException(
                ErrorCode.Forbidden,
                $"This takes the role {lowest}; {caller.Name} has {caller.Role?.ToString() ?? "none"}.",
                caller.Role is null ? "Be root or the user godwitd runs as." : "Ask an administrator for a token of that role.");
        }
        trail.Begin(context);
        return next(context);
    }

    private static GodwitException Unknown(HttpContext context)
    {
        context.Response.Headers.WWWAuthenticate = "Bearer";
        return new GodwitException(
            ErrorCode.Unauthenticated, "A valid token is needed here.", "An administrator makes one: godwit token create.");
    }
}
