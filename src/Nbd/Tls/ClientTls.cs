using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using Godwit.Storage;

namespace Godwit.Nbd.Tls;

/// <summary>The client's half of the TLS handshake.</summary>
internal static class ClientTls
{
    /// <summary>The name a server's certificate has to be for.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: none was given, and the address has none.</exception>
    public static string NameOf(EndPoint server, string? given, string path) => given ?? server switch
    {
        IPEndPoint address => address.Address.ToString(),
        DnsEndPoint name => name.Host,
        _ => throw new StorageException(
            StorageErrorKind.InvalidRequest, "the name in the server's certificate has to be given for TLS on a unix socket", path),
    };

    /// <summary>Goes through the TLS handshake.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AccessDenied"/>: the server is not who it should be, or
    /// has no TLS 1.3.</exception>
    public static async ValueTask AuthenticateAsync(
        SslStream stream, NbdTlsIdentity identity, string serverName, string path, CancellationToken cancellationToken)
    {
        var check = new PeerCheck("server", serverName);
        try
        {
            await stream.AuthenticateAsClientAsync(OptionsOf(identity, serverName, check), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (TlsFailure.Is(failure))
        {
            throw new StorageException(
                StorageErrorKind.AccessDenied, $"no TLS with the NBD server: {check.Refusal ?? TlsFailure.Reason(failure)}", path, inner: failure);
        }
    }

    private static SslClientAuthenticationOptions OptionsOf(NbdTlsIdentity identity, string serverName, PeerCheck check) => new()
    {
        TargetHost = serverName,
        ClientCertificateContext = identity.Context,
        CertificateChainPolicy = identity.NewPolicy(),
        RemoteCertificateValidationCallback = check.Accept,
        EnabledSslProtocols = SslProtocols.Tls13,
        AllowRenegotiation = false,
        AllowTlsResume = false,
    };
}
