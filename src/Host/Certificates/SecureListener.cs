using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Godwit.Host.Certificates;

/// <summary>The network side: TLS 1.3 and nothing below, with the certificate that is current when a connection comes. Clients
/// may show a certificate; one that is not of our authority ends the connection.</summary>
internal static class SecureListener
{
    private static readonly TimeSpan HandshakeLimit = TimeSpan.FromSeconds(10);

    public static void Secure(ListenOptions listen, HostCertificates certificates) => listen.UseHttps(new TlsHandshakeCallbackOptions
    {
        HandshakeTimeout = HandshakeLimit,
        OnConnection = _ => ValueTask.FromResult(OptionsOf(certificates.Require())),
    });

    private static SslServerAuthenticationOptions OptionsOf(HostIdentityCard card) => new()
    {
        ServerCertificateContext = card.Context,
        // Asked for, not insisted on: people have tokens.
        ClientCertificateRequired = true,
        CertificateChainPolicy = card.NewPolicy(),
        RemoteCertificateValidationCallback = Accept,
        EnabledSslProtocols = SslProtocols.Tls13,
        AllowRenegotiation = false,
        // A connection that is taken up again would bring along a certificate that nobody has looked at since.
        AllowTlsResume = false,
    };

    private static bool Accept(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate is null || errors == SslPolicyErrors.None;
}
