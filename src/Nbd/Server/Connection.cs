using System.Net.Sockets;
using Godwit.Nbd.Interop;
using Godwit.Storage.Reading;

namespace Godwit.Nbd.Server;

/// <summary>One client, from the greeting to the hang-up, on a thread of its own.</summary>
internal sealed class Connection : IDisposable
{
    private const int StackSize = 256 << 10;

    private readonly IReadOnlyList<NbdExport> _exports;
    private readonly NbdServerOptions _options;
    private readonly CancellationToken _abort;
    private readonly Wire _wire;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action<Connection> _onEnd;
    private bool _tooSlow;

    /// <summary>Takes a client over.</summary>
    /// <param name="socket">The connected socket; owned from now on.</param>
    /// <param name="exports">What it may choose from.</param>
    /// <param name="options">Limits.</param>
    /// <param name="onEnd">Is told that the connection is closed, before <see cref="Ended"/> completes.</param>
    /// <param name="abort">Gives up what the device is still working on.</param>
    /// <exception cref="SocketException">The process has no descriptors left; the socket is closed.</exception>
    public Connection(
        Socket socket, IReadOnlyList<NbdExport> exports, NbdServerOptions options, Action<Connection> onEnd, CancellationToken abort)
    {
        _onEnd = onEnd;
        _exports = exports;
        _options = options;
        _abort = abort;
        _wire = new Wire(socket);
    }

    /// <summary>Completes, always successfully, once the connection is closed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Starts the thread.</summary>
    /// <exception cref="OutOfMemoryException">The process can have no more threads; the connection is closed.</exception>
    public void Start()
    {
        var thread = new Thread(Run, StackSize) { IsBackground = true, Name = "nbd" };
        try
        {
            thread.Start();
        }
        catch (Exception failure) when (failure is OutOfMemoryException or ThreadStartException)
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Answers what has arrived, takes nothing more, and closes.</summary>
    public void Finish() => _wire.EndInput();

    /// <summary>Breaks the connection now.</summary>
    public void Cut() => _wire.Cut();

    private void Run()
    {
        try
        {
            Serve();
        }
        catch (DisconnectException ended) when (!_abort.IsCancellationRequested)
        {
            var reason = _tooSlow ? $"the handshake took longer than {_options.HandshakeTimeout.TotalSeconds} s" : ended.Message;
            if (reason.Length > 0)
                _options.OnProblem?.Invoke($"NBD client cut off: {reason}");
        }
        catch (Exception failure)
        {
            // One client's trouble must never become another's: the process goes on whatever happened here.
            _options.OnProblem?.Invoke($"NBD connection ended: {failure.Message}");
        }
        finally
        {
            Dispose();
        }
    }

    /// <summary>Closes the socket and tells <see cref="Ended"/>; the connection's thread does it when it ends.</summary>
    public void Dispose()
    {
        _wire.Dispose();
        _onEnd(this);
        _ended.TrySetResult();
    }

    private void Serve()
    {
        var pool = new BufferPool();
        var input = new InputBuffer(_wire, pool);
        var output = new OutputBuffer(_wire, pool);
        var session = Greet(input, output);
        if (session is null)
            return;
        session.Export.CountConnection(1);
        try
        {
            using var reads = ReadLoop.Enter();
            using var pipe = new ReplyPipe();
            _wire.Reads = reads;
            new Transmission(_wire, pool, input, output, pipe, session, _abort).Run();
        }
        finally
        {
            session.Export.CountConnection(-1);
        }
    }

    private Session? Greet(InputBuffer input, OutputBuffer output)
    {
        using var limit = _options.Time.CreateTimer(OnTooSlow, this, _options.HandshakeTimeout, Timeout.InfiniteTimeSpan);
        return new Handshake(_exports, input, output).Run();
    }

    private static void OnTooSlow(object? connection)
    {
        var slow = (Connection)connection!;
        slow._tooSlow = true;
        slow._wire.Cut();
    }
}
