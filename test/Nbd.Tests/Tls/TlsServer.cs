using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>A server on a loopback port that takes only encrypted connections, and the authority behind it.</summary>
internal sealed class TlsServer : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly NbdTlsIdentity _identity;
    private readonly Task _running;

    public TlsServer(BlockDevice device, NbdServerOptions? options = null, bool expired = false)
        : this([new NbdExport("disk", device)], options, expired)
    {
    }

    public TlsServer(IReadOnlyList<NbdExport> exports, NbdServerOptions? options = null, bool expired = false)
    {
        _identity = Authority.Identity(Folder.File("server"), "localhost", forServer: true, expired);
        ClientIdentity = Authority.Identity(Folder.File("client"), "someone", forServer: false);
        Server = new NbdServer(
            exports, (options ?? new NbdServerOptions()) with { Tls = _identity, OnProblem = Tell });
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(64);
        _running = Task.Run(() => Server.RunAsync(_listener, _stop.Token));
    }

    public TempFolder Folder { get; } = new();

    public TestAuthority Authority { get; } = new();

    public NbdServer Server { get; }

    public NbdTlsIdentity ClientIdentity { get; }

    public List<string> Problems { get; } = [];

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    public ValueTask<NbdDevice> OpenAsync(NbdTlsIdentity? identity, string? serverName = null, string export = "disk") =>
        NbdDevice.ConnectAsync(EndPoint, export, new NbdClientOptions { Tls = identity, ServerName = serverName }, CancellationToken.None);

    public RawClient Connect() => new(EndPoint);

    /// <summary>Goes as far as the server's consent to TLS.</summary>
    public static void StartTls(RawClient client)
    {
        client.Greet();
        Assert.Equal(1u, client.Ask(5, [])[^1].Type);
    }

    /// <summary>The TLS handshake of a client that was told to start it.</summary>
    public async Task<SslStream> SecureAsync(RawClient client, SslProtocols protocol = SslProtocols.Tls13, bool certified = true)
    {
        var secure = new SslStream(new NetworkStream(client.Socket), false);
        await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = protocol,
            CertificateChainPolicy = ClientIdentity.NewPolicy(),
            ClientCertificateContext = certified ? ClientIdentity.Context : null,
        });
        return secure;
    }

    /// <summary>Waits for the server to say something that contains this.</summary>
    public async Task<string> ProblemAsync(string part)
    {
        while (true)
        {
            lock (Problems)
            {
                if (Problems.Find(problem => problem.Contains(part, StringComparison.Ordinal)) is { } found)
                    return found;
            }

            await Task.Delay(5);
        }
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _listener.Dispose();
        _stop.Dispose();
        _identity.Dispose();
        ClientIdentity.Dispose();
        Authority.Dispose();
        Folder.Dispose();
    }

    private void Tell(string problem)
    {
        lock (Problems)
            Problems.Add(problem);
    }
}
