using System.Net.Sockets;
using Godwit.Nbd.Server;

namespace Godwit.Nbd;

/// <summary>Serves block devices over NBD: fixed newstyle handshake, structured replies, base:allocation.</summary>
/// <remarks>A thread per connection. A client can do nothing to the others or to the process: what it sends wrong is answered
/// with the protocol's error or ends its connection. Thread-safe.</remarks>
public sealed class NbdServer
{
    private readonly IReadOnlyList<NbdExport> _exports;
    private readonly NbdServerOptions _options;
    private readonly HashSet<Connection> _connections = [];
    private readonly Lock _lock = new();

    /// <summary>Creates the server; it serves from <see cref="RunAsync"/> on.</summary>
    /// <param name="exports">What it offers; the devices stay the caller's.</param>
    /// <param name="options">Limits.</param>
    public NbdServer(IReadOnlyList<NbdExport> exports, NbdServerOptions options)
    {
        _exports = exports;
        _options = options;
    }

    /// <summary>Clients connected now, those still in the handshake included.</summary>
    public int Connections
    {
        get
        {
            lock (_lock)
                return _connections.Count;
        }
    }

    /// <summary>Accepts clients until cancelled; then requests that have arrived are finished and answered, and connections closed.</summary>
    /// <param name="listener">A bound and listening stream socket, inherited or own; stays the caller's and open.</param>
    /// <param name="cancellationToken">Stops the server; the task then completes without an error.</param>
    /// <exception cref="SocketException">The listening socket is broken; connections have been closed.</exception>
    public async Task RunAsync(Socket listener, CancellationToken cancellationToken)
    {
        using var abort = new CancellationTokenSource();
        try
        {
            while (true)
            {
                var socket = await AcceptAsync(listener, cancellationToken).ConfigureAwait(false);
                if (socket is not null)
                    Take(socket, abort.Token);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The wish of the caller.
        }
        finally
        {
            await StopAsync(abort).ConfigureAwait(false);
        }
    }

    /// <summary>The next client; null when this one failed and the next may not.</summary>
    private async ValueTask<Socket?> AcceptAsync(Socket listener, CancellationToken cancellationToken)
    {
        try
        {
            return await listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException failure) when (failure.SocketErrorCode
            is SocketError.TooManyOpenSockets or SocketError.ConnectionAborted or SocketError.ConnectionReset or SocketError.NoBufferSpaceAvailable)
        {
            // Descriptors come free when other clients leave; asking again at once would only burn the processor.
            _options.OnProblem?.Invoke($"NBD client not accepted: {failure.Message}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), _options.Time, cancellationToken).ConfigureAwait(false);
            return null;
        }
    }

    private void Take(Socket socket, CancellationToken abort)
    {
        try
        {
            if (Add(socket, abort)?.TryStart() == false)
                _options.OnProblem?.Invoke("NBD client not served: the process can have no more threads");
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            _options.OnProblem?.Invoke($"NBD client not served: {failure.Message}");
        }
    }

    private Connection? Add(Socket socket, CancellationToken abort)
    {
        lock (_lock)
        {
            if (_connections.Count < _options.MaxConnections)
            {
                var connection = new Connection(socket, _exports, _options, Forget, abort);
                _connections.Add(connection);
                return connection;
            }
        }

        socket.Dispose();
        _options.OnProblem?.Invoke($"NBD client not served: {_options.MaxConnections} connections are the limit");
        return null;
    }

    private void Forget(Connection connection)
    {
        lock (_lock)
            _connections.Remove(connection);
    }

    private async Task StopAsync(CancellationTokenSource abort)
    {
        var connections = Snapshot();
        foreach (var connection in connections)
            connection.Finish();
        var ended = Task.WhenAll(connections.Select(connection => connection.Ended));
        try
        {
            await ended.WaitAsync(_options.StopTimeout, _options.Time, CancellationToken.None).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Cut first: a request that is cancelled has no right answer. One that gets none is sent again to whoever serves next, while an
            // error would reach the guest.
            foreach (var connection in connections)
                connection.Cut();
            await abort.CancelAsync().ConfigureAwait(false);
            await ended.ConfigureAwait(false);
        }
    }

    private Connection[] Snapshot()
    {
        lock (_lock)
            return [.. _connections];
    }
}
