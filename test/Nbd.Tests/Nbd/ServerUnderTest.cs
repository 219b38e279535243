using System.Net.Sockets;
using Godwit.Storage;
using Godwit.Testing;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>A server on a unix socket in a folder of its own.</summary>
internal sealed class ServerUnderTest : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public ServerUnderTest(NbdServerOptions? options = null, params NbdExport[] exports)
    {
        Exports = exports;
        var told = options?.OnProblem;
        Server = new NbdServer(exports, (options ?? new NbdServerOptions()) with { OnProblem = problem => Tell(problem, told) });
        _listener.Bind(EndPoint);
        _listener.Listen(128);
        _running = Task.Run(() => Server.RunAsync(_listener, _stop.Token));
    }

    public ServerUnderTest(BlockDevice device, NbdServerOptions? options = null)
        : this(options, new NbdExport("disk", device))
    {
    }

    public NbdServer Server { get; }

    public IReadOnlyList<NbdExport> Exports { get; }

    public string SocketPath => _folder.File("nbd.sock");

    public UnixDomainSocketEndPoint EndPoint => new(SocketPath);

    /// <summary>What the server had to say.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>The address as QEMU's and libnbd's programs take it.</summary>
    public string Uri(string export = "disk") => $"nbd+unix:///{export}?socket={SocketPath}";

    public RawClient Connect() => new(EndPoint);

    public ValueTask<NbdDevice> OpenAsync(string export, NbdClientOptions options) =>
        NbdDevice.ConnectAsync(EndPoint, export, options, CancellationToken.None);

    public ValueTask<NbdDevice> OpenAsync(string export = "disk") => NbdDevice.ConnectAsync(EndPoint, export, CancellationToken.None);

    /// <summary>Stops the server the graceful way and waits for it.</summary>
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
        _folder.Dispose();
    }

    private void Tell(string problem, Action<string>? further)
    {
        lock (Problems)
            Problems.Add(problem);
        further?.Invoke(problem);
    }
}
