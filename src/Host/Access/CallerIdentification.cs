using Godwit.Api.Access;
using Godwit.ControlPlane.Access;

namespace Godwit.Host.Access;

/// <summary>Finds out who asks: the user of the unix socket, else the bearer of a token. Decides nothing.</summary>
internal sealed class CallerIdentification(RequestDelegate next, TokenStore tokens)
{
    private const string Scheme = "Bearer ";

    public Task InvokeAsync(HttpContext context)
    {
        context.Features.Set(LocalCallers.Find(context) ?? FromToken(context) ?? Caller.Nobody);
        return next(context);
    }

    private Caller? FromToken(HttpContext context)
    {
        var header = context.Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) || tokens.Find(header[Scheme.Length..].Trim()) is not { } token)
        {
            return null;
        }
        return new Caller("token:" + token.Name, token.Role, CallerOrigin.Token);
    }
}
