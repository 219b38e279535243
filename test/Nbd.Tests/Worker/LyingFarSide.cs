using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Godwit.Testing;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Speaks TLS as another host does, with a server in the clear behind it whose answers it can replace by nonsense.</summary>
internal sealed class LyingFarSide : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly EndPoint _server;
    private readonly X509Certificate2 _certificate;
    private readonly List<Task> _serving = [];
    private readonly Task _accepting;
    private volatile bool _lies;
    private int _told;

    public LyingFarSide(EndPoint server, TestAuthority authority)
    {
        _server = server;
        var (certificate, key) = authority.Issue("localhost", forServer: true);
        _certificate = X509Certificate2.CreateFromPem(certificate, key);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(64);
        _accepting = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Whether answers are nonsense from now on.</summary>
    public bool Lies
    {
        get => _lies;
        set => _lies = value;
    }

    /// <summary>Answers that were nonsense.</summary>
    public int Told => Volatile.Read(ref _told);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        await Task.WhenAll(_serving);
        _listener.Dispose();
        _certificate.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(_stop.Token);
                _serving.Add(Task.Run(() => ServeAsync(client)));
            }
        }
        catch (OperationCanceledException)
        {
            // The end of the test.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var behind = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await using var clear = new NetworkStream(client, ownsSocket: true);
        await using var secure = new SslStream(clear);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        try
        {
            await behind.ConnectAsync(_server, either.Token);
            await using var server = new NetworkStream(behind);
            await StartTlsAsync(clear, server, secure, either.Token);
            await await Task.WhenAny(PassAsync(secure, server, false, either.Token), PassAsync(server, secure, true, either.Token));
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException or OperationCanceledException or ObjectDisposedException)
        {
            // Either side has left.
        }
        finally
        {
            await either.CancelAsync();
        }
    }

    /// <summary>Greets in the server's words, takes STARTTLS, and leaves the rest to the server.</summary>
    private async Task StartTlsAsync(NetworkStream clear, NetworkStream server, SslStream secure, CancellationToken ct)
    {
        var bytes = new byte[20];
        await server.ReadExactlyAsync(bytes.AsMemory(0, 18), ct);
        await clear.WriteAsync(bytes.AsMemory(0, 18), ct);
        await clear.ReadExactlyAsync(bytes.AsMemory(0, 4), ct);
        await server.WriteAsync(bytes.AsMemory(0, 4), ct);
        await clear.ReadExactlyAsync(bytes.AsMemory(0, 16), ct);
        BinaryPrimitives.WriteUInt64BigEndian(bytes, 0x3e889045565a9);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), 5);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(12), 1);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(16), 0);
        await clear.WriteAsync(bytes, ct);
        await secure.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = _certificate, EnabledSslProtocols = SslProtocols.Tls13 }, ct);
    }

    private async Task PassAsync(Stream from, Stream to, bool answers, CancellationToken ct)
    {
        var bytes = new byte[64 << 10];
        for (var count = await from.ReadAsync(bytes, ct); count > 0; count = await from.ReadAsync(bytes, ct))
        {
            if (answers && _lies)
            {
                new Random(_told).NextBytes(bytes.AsSpan(0, count));
                Interlocked.Increment(ref _told);
            }

            await to.WriteAsync(bytes.AsMemory(0, count), ct);
            await to.FlushAsync(ct);
        }
    }
}
