using Godwit.Api.Hosts;
using Godwit.Host.Certificates;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/host/certificate and /v1/host/authority</summary>
internal static class CertificateEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var host = routes.MapGroup("/v1/host").WithTags("Host").ProducesProblem(StatusCodes.Status500InternalServerError);
        host.MapGet("/certificate", (HostCertificates certificates) => certificates.Status())
            .WithSummary("The certificate this host shows to others.");
        host.MapPost("/certificate", (CertificateSpec spec, HostCertificates certificates) => certificates.Renew(spec.Names))
            .WithSummary("Makes a new key and certificate; new connections get it at once.");
        host.MapPost("/authority", Initialize).WithSummary("Sets up a certificate authority and the host's own certificate.");
    }

    private static Created<CertificateStatus> Initialize(CertificateSpec spec, HostCertificates certificates) =>
        TypedResults.Created("/v1/host/certificate", certificates.Initialize(spec.Names));
}
