using System.Net;
using System.Net.Sockets;
using Godwit.Testing;

namespace Godwit.Nbd.Tests.Remote;

/// <summary>Stands between client and server: the link can be cut, be silent (nothing arrives, nobody is told), and refuse new connections.</summary>
internal sealed class BreakableLink : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<Socket> _sockets = [];
    private readonly List<Task> _copying = [];
    private readonly Task _accepting;
    private volatile TaskCompletionSource? _silence;
    private volatile bool _refusing;
    private int _accepted;

    public BreakableLink(EndPoint server, bool tcp = false)
    {
        Server = server;
        _listener = tcp
            ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _listener.Bind(tcp ? new IPEndPoint(IPAddress.Loopback, 0) : EndPoint);
        _listener.Listen(64);
        _accepting = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public UnixDomainSocketEndPoint EndPoint => new(_folder.File("link.sock"));

    /// <summary>Where new connections go.</summary>
    public EndPoint Server { get; set; }

    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Breaks every connection; new ones are refused until <see cref="Mend"/>.</summary>
    public void Cut()
    {
        _refusing = true;
        lock (_lock)
        {
            foreach (var socket in _sockets)
                socket.Dispose();
            _sockets.Clear();
        }
    }

    /// <summary>Nothing gets through any more, and nobody is told.</summary>
    public void Silence() => _silence ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Mend()
    {
        _refusing = false;
        _silence?.TrySetResult();
        _silence = null;
    }

    public async ValueTask DisposeAsync()
    {
        Mend();
        Cut();
        await _stop.CancelAsync();
        await _accepting;
        await Task.WhenAll(_copying);
        _listener.Dispose();
        _stop.Dispose();
        _folder.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                await TakeAsync(await _listener.AcceptAsync(_stop.Token));
        }
        catch (OperationCanceledException)
        {
            // The end of the test.
        }
    }

    private async Task TakeAsync(Socket client)
    {
        Interlocked.Increment(ref _accepted);
        var server = new Socket(Server.AddressFamily, SocketType.Stream, Server.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            if (_refusing)
                throw new SocketException((int)SocketError.ConnectionRefused);
            await server.ConnectAsync(Server, _stop.Token);
        }
        catch (SocketException)
        {
            client.Dispose();
            server.Dispose();
            return;
        }

        lock (_lock)
        {
            _sockets.AddRange([client, server]);
            _copying.Add(Task.Run(() => CopyAsync(client, server)));
            _copying.Add(Task.Run(() => CopyAsync(server, client)));
        }
    }

    private async Task CopyAsync(Socket from, Socket to)
    {
        var bytes = new byte[256 << 10];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(bytes, _stop.Token);
                if (_silence is { } silence)
                    await silence.Task.WaitAsync(_stop.Token);
                if (count == 0)
                    break;
                for (var sent = 0; sent < count;)
                    sent += await to.SendAsync(bytes.AsMemory(sent, count - sent), _stop.Token);
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            from.Dispose();
            to.Dispose();
        }
    }
}
