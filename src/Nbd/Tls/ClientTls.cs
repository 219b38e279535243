using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Godwit.Storage;

namespace Godwit.Nbd.Tls;

/// <summary>The client's half of the TLS handshake.</summary>
internal static class ClientTls
{
    /// <summary>Goes through the TLS handshake; see <see cref="IEncryption.ConnectAsync"/>.</summary>
    public static async ValueTask<Stream> ConnectAsync(
        Socket socket, NbdTlsIdentity identity, string serverName, string path, CancellationToken cancellationToken)
    {
        var check = new PeerCheck("server", serverName);
        var secure = new SslStream(new NetworkStream(socket, ownsSocket: true), leaveInnerStreamOpen: false);
        try
        {
            await secure.AuthenticateAsClientAsync(OptionsOf(identity, serverName, check), cancellationToken).ConfigureAwait(false);
            return secure;
        }
        catch (Exception failure)
        {
            await secure.DisposeAsync().ConfigureAwait(false);
            if (failure is OperationCanceledException)
                throw;
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
