using System.Net.Sockets;
using Godwit.Nbd.Server;
using Godwit.Storage;

namespace Godwit.Nbd.Tls;

/// <summary>What servers and clients know of TLS. Behind an interface, so that a program compiled ahead of time in which nobody
/// makes an <see cref="NbdTlsIdentity"/> contains no TLS: a third of the worker's size, and 2 MiB of its memory.</summary>
internal interface IEncryption
{
    /// <summary>The server's half of the handshake; cutting the client's socket ends it at any time.</summary>
    /// <param name="client">The connected socket; stays the caller's.</param>
    /// <param name="lastWords">How long a client may take for its last replies once the connection ends.</param>
    /// <returns>The decrypted connection, and what ends the encrypted one once everything has been sent.</returns>
    /// <exception cref="DisconnectException">No TLS 1.3, or a certificate that does not do; says which.</exception>
    (Socket Inner, IDisposable Bridge) Accept(Socket client, TimeSpan lastWords);

    /// <summary>The client's half of the handshake.</summary>
    /// <param name="socket">The connected socket.</param>
    /// <param name="serverName">The name the server's certificate has to be for.</param>
    /// <param name="path">For messages.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The encrypted connection; disposing it closes the socket.</returns>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AccessDenied"/>: the server is not who it should be, or
    /// has no TLS 1.3.</exception>
    ValueTask<Stream> ConnectAsync(Socket socket, string serverName, string path, CancellationToken cancellationToken);
}
