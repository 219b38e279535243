using Godwit.Api;
using Godwit.Api.Access;
using Godwit.Api.Hosts;
using Godwit.ControlPlane.Access;
using Godwit.Host.Access;
using Godwit.Host.Certificates;
using Godwit.Host.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/host/join, /v1/host/join-tokens and /v1/host/membership</summary>
internal static class JoinEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var host = routes.MapGroup("/v1/host").WithTags("Host").ProducesProblem(StatusCodes.Status500InternalServerError);
        host.MapPost("/join-tokens", CreateToken).WithSummary("Makes a token that lets one host join this one's authority, once, within 15 minutes.")
            .WithMetadata(AnswersWithSecret.Mark);
        host.MapGet("/join", (HostCertificates certificates) => new AuthorityCertificate(certificates.Require().Authority.ExportCertificatePem()))
            .WithSummary("The authority of this host. For everybody: it is public.");
        host.MapPost("/join", Join).WithSummary("Signs the certificate of a host that shows a join token. For everybody who has one.")
            .WithMetadata(AnswersWithSecret.Mark);
        host.MapPost("/membership", (MembershipSpec spec, Joining joining, CancellationToken token) => joining.JoinAsync(spec, token))
            .WithSummary("Joins another host's authority: this host gets a certificate from there.");
    }

    private static Ok<JoinToken> CreateToken(JoinTokenSpec spec, JoinTokenStore tokens, HostCertificates certificates, HttpContext context)
    {
        var status = certificates.RequireAuthority();
        if (!CertificateNames.IsHost(spec.Host))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{spec.Host}' is no name for a host: letters, digits, hyphens, dots; at most 64.");
        }
        var (secret, expires) = tokens.Create(spec.Host, CertificateNames.Check(spec.Names ?? [spec.Host]));
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new JoinToken(spec.Host, secret, expires, status.AuthorityFingerprint));
    }

    private static JoinAnswer Join(
        JoinRequest request, JoinTokenStore tokens, HostCertificates certificates, AuditTrail trail, HttpContext context)
    {
        certificates.RequireAuthority();
        // Before the token is used up: who sends something broken may try again.
        var key = SigningRequest.KeyOf(request.Request);
        if (tokens.Redeem(request.Token ?? "") is not { } joining)
        {
            throw new GodwitException(
                ErrorCode.Forbidden, "The join token is unknown, used or has expired.", "Make another one: godwit host token.");
        }
        context.Features.Set(new Caller("join:" + joining.Host, null, CallerOrigin.Token));
        trail.Begin(context);
        return new JoinAnswer(certificates.Sign(key, joining.Host, joining.Names));
    }
}
