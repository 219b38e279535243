using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Godwit.Nbd.Interop;
using Godwit.Nbd.Server;

namespace Godwit.Nbd.Tls;

/// <summary>
/// Stands between an encrypted connection and the code that serves plain ones: a thread per direction, and a pair of sockets
/// whose inner one is served as if the client had connected to it.
/// </summary>
/// <remarks>Plain connections know nothing of it and lose nothing to it. Whichever side ends takes the other with it: the
/// client's end is the end of input inside, the end inside is a goodbye to the client.</remarks>
internal sealed class TlsBridge : IDisposable
{
    private const int StackSize = 256 << 10;
    private const int BufferSize = 256 << 10;

    /// <summary>The longest record of TLS with its header: if so much waits in the socket, the next read gets a whole one.</summary>
    private const int LongestRecord = 5 + (16 << 10) + 256;

    private readonly Socket _client;
    private readonly SslStream _secure;
    private readonly Socket _near;
    private readonly TimeSpan _lastWords;
    private readonly Thread _toClient;
    private readonly Thread _fromClient;

    private TlsBridge(Socket client, SslStream secure, TimeSpan lastWords)
    {
        _client = client;
        _secure = secure;
        _lastWords = lastWords;
        (_near, Inner) = SocketPair.Create();
        _toClient = new Thread(PumpToClient, StackSize) { IsBackground = true, Name = "nbd-tls-out" };
        _fromClient = new Thread(PumpFromClient, StackSize) { IsBackground = true, Name = "nbd-tls-in" };
    }

    /// <summary>The decrypted connection; disposing it ends the encrypted one once everything has been sent.</summary>
    public Socket Inner { get; }

    /// <summary>Goes through the TLS handshake; cutting the client's socket ends it at any time.</summary>
    /// <param name="client">The connected socket; stays the caller's.</param>
    /// <param name="identity">Who we are and whom we trust.</param>
    /// <param name="lastWords">How long a client may take for its last replies once the connection ends.</param>
    /// <exception cref="DisconnectException">No TLS 1.3, or a certificate that does not do; says which.</exception>
    public static TlsBridge Accept(Socket client, NbdTlsIdentity identity, TimeSpan lastWords)
    {
        var check = new PeerCheck("client", null);
        SslStream? secure = null;
        try
        {
            secure = new SslStream(new NetworkStream(client, ownsSocket: false), leaveInnerStreamOpen: false);
            secure.AuthenticateAsServer(OptionsOf(identity, check));
            var bridge = new TlsBridge(client, secure, lastWords);
            bridge.Start();
            return bridge;
        }
        catch (Exception failure) when (failure is not DisconnectException)
        {
            secure?.Dispose();
            throw new DisconnectException($"TLS: {check.Refusal ?? TlsFailure.Reason(failure)}");
        }
    }

    /// <summary>Waits until the client has everything, or has had its time; ends both threads.</summary>
    public void Dispose()
    {
        Inner.Dispose();
        if (!_toClient.Join(_lastWords))
            End(_client);
        _toClient.Join();
        _fromClient.Join();
        _near.Dispose();
        _secure.Dispose();
    }

    private static SslServerAuthenticationOptions OptionsOf(NbdTlsIdentity identity, PeerCheck check) => new()
    {
        ServerCertificateContext = identity.Context,
        ClientCertificateRequired = true,
        CertificateChainPolicy = identity.NewPolicy(),
        RemoteCertificateValidationCallback = check.Accept,
        EnabledSslProtocols = SslProtocols.Tls13,
        AllowRenegotiation = false,
        AllowTlsResume = false,
    };

    private void Start()
    {
        try
        {
            _toClient.Start();
            _fromClient.Start();
        }
        catch (Exception failure) when (failure is OutOfMemoryException or ThreadStartException)
        {
            // A thread that did start sees its socket end.
            Inner.Dispose();
            _near.Dispose();
            throw new DisconnectException("the process can have no more threads");
        }
    }

    private void PumpFromClient()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
        try
        {
            for (int count; (count = ReadRecords(buffer)) > 0;)
            {
                for (var sent = 0; sent < count;)
                    sent += _near.Send(buffer.AsSpan(sent, count - sent));
            }
        }
        catch (Exception)
        {
            // The client is gone or sent what is no TLS, or nobody listens inside any more: the same end of input for all.
            // Whatever else it may be, it is this client's trouble and must not end the process.
        }

        Shutdown(_near, SocketShutdown.Send);
    }

    /// <summary>Decrypts what has come. A record has 16 KiB at most; handed on one by one, each would wake the connection's
    /// thread, so those that are there already go with the first.</summary>
    private int ReadRecords(byte[] buffer)
    {
        var count = _secure.Read(buffer);
        while (count > 0 && buffer.Length - count >= LongestRecord && _client.Available >= LongestRecord)
        {
            var more = _secure.Read(buffer, count, buffer.Length - count);
            if (more == 0)
                break;
            count += more;
        }

        return count;
    }

    private void PumpToClient()
    {
        var buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
        try
        {
            for (int count; (count = _near.Receive(buffer)) > 0;)
                _secure.Write(buffer, 0, count);
            _secure.ShutdownAsync().GetAwaiter().GetResult();
        }
        catch (Exception)
        {
            // The client takes nothing more: the connection inside has to notice, not to wait.
        }

        End(_near);
        End(_client);
    }

    private static void End(Socket socket) => Shutdown(socket, SocketShutdown.Both);

    private static void Shutdown(Socket socket, SocketShutdown how)
    {
        try
        {
            socket.Shutdown(how);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // Ended already.
        }
    }
}
