using System.Security.Cryptography.X509Certificates;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;

namespace Godwit.Host.Access;

/// <summary>Finds out who asks: the user of the unix socket, else the host of a certificate, else the bearer of a token. Decides nothing.</summary>
internal sealed class CallerIdentification(RequestDelegate next, TokenStore tokens)
{
    private const string Scheme = "Bearer ";

    public Task InvokeAsync(HttpContext context)
    {
        context.Features.Set(LocalCallers.Find(context) ?? FromCertificate(context) ?? FromToken(context) ?? Caller.Nobody);
        return next(context);
    }

    // The handshake has let no certificate through but those of our authority, and that one signs for hosts only.
    private static Caller? FromCertificate(HttpContext context) => context.Connection.ClientCertificate is { } certificate
        ? new Caller("host:" + certificate.GetNameInfo(X509NameType.SimpleName, false), Role.Administrator, CallerOrigin.Certificate)
        : null;

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
