using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;

namespace Godwit.ControlPlane.Tests.Api;

/// <summary>One request as it arrived.</summary>
internal sealed record FakeRequest(string Method, string Path, string Body, string? Authorization)
{
    public override string ToString() => $"{Method} {Path}";
}

/// <summary>
/// A godwitd that answers exactly the bytes a test wants, on a unix socket: a real server would not tear its streams
/// where the test needs it.
/// </summary>
internal sealed class FakeDaemon : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Func<FakeRequest, NetworkStream, CancellationToken, Task> _answer;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Task _accepting;

    public FakeDaemon(Func<FakeRequest, NetworkStream, CancellationToken, Task> answer)
    {
        _answer = answer;
        SocketPath = _folder["d.sock"];
        _listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public string SocketPath { get; }

    public string Address => "unix:" + SocketPath;

    public ConcurrentQueue<FakeRequest> Requests { get; } = [];

    public GodwitClient NewClient(string? token = null) => new(GodwitAddress.Parse(Address), token, TimeProvider.System);

    /// <summary>Answers every request with what a function says.</summary>
    public static FakeDaemon Answering(Func<FakeRequest, (int Status, string Body)> answer) => new((request, stream, _) =>
    {
        var (status, body) = answer(request);
        return WriteAsync(stream, status, body);
    });

    public static Task WriteAsync(Stream stream, int status, string body) => stream.WriteAsync(Encoding.UTF8.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}")))
        .AsTask();

    public static Task WriteAsync<T>(Stream stream, T value, JsonTypeInfo<T> type, int status = 200) =>
        WriteAsync(stream, status, JsonSerializer.Serialize(value, type));

    /// <summary>Begins an event stream that ends when the connection does.</summary>
    public static Task BeginEventsAsync(Stream stream) =>
        stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"u8.ToArray()).AsTask();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections);
        _stop.Dispose();
        _folder.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _connections.Add(ServeAsync(await _listener.AcceptAsync(_stop.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            if (await ReadAsync(stream, _stop.Token) is not FakeRequest request)
                return;
            Requests.Enqueue(request);
            await _answer(request, stream, _stop.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client hung up, or the test is over.
        }
    }

    private static async Task<FakeRequest?> ReadAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one, cancellationToken) == 0)
                return null;
            head.Append((char)one[0]);
        }

        var lines = head.ToString().Split("\r\n");
        var first = lines[0].Split(' ');
        var body = new byte[int.Parse(HeaderOf(lines, "Content-Length") ?? "0", CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body, cancellationToken);
        return new FakeRequest(first[0], first[1], Encoding.UTF8.GetString(body), HeaderOf(lines, "Authorization"));
    }

    private static string? HeaderOf(string[] lines, string name) => lines
        .FirstOrDefault(line => line.StartsWith(name + ": ", StringComparison.OrdinalIgnoreCase))?[(name.Length + 2)..];
}
