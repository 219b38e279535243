using System.Net.Sockets;
using Godwit.Nbd.Interop;
using Godwit.Nbd.Tls;
using Godwit.Storage.Reading;

namespace Godwit.Nbd.Server;

/// <summary>One client, from the greeting to the hang-up, on a thread of its own.</summary>
internal sealed class Connection : IDisposable
{
    private const int StackSize = 256 << 10;

    private readonly IReadOnlyList<NbdExport> _exports;
    private readonly NbdServerOptions _options;
    private readonly CancellationToken _abort;
    private readonly Socket _socket;
    private readonly Wire _wire;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action<Connection> _onEnd;
    private volatile Wire? _decrypted;
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
        _socket = socket;
        _wire = new Wire(socket);
    }

    /// <summary>Completes, always successfully, once the connection is closed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Starts the thread.</summary>
    /// <returns>False: the process can have no more threads; the connection is closed.</returns>
    public bool TryStart()
    {
        if (NativeThread.TryStart("nbd", StackSize, Run))
            return true;
        Dispose();
        return false;
    }

    /// <summary>Answers what has arrived, takes nothing more, and closes.</summary>
    public void Finish() => (_decrypted ?? _wire).EndInput();

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
        using var limit = _options.Time.CreateTimer(OnTooSlow, this, _options.HandshakeTimeout, Timeout.InfiniteTimeSpan);
        var pool = new BufferPool();
        var (input, output) = (new InputBuffer(_wire, pool), new OutputBuffer(_wire, pool));
        if (_options.Tls is { } identity)
            ServeEncrypted(identity, pool, input, output, limit);
        else
            Serve(_wire, pool, input, output, new Handshake(_exports, input, output).Run(), limit);
    }

    private void ServeEncrypted(IEncryption identity, BufferPool pool, InputBuffer clearInput, OutputBuffer clearOutput, ITimer limit)
    {
        if (!new ClearHandshake(clearInput, clearOutput).TryReachTls(out var noZeroes))
            return;
        pool.Return(clearInput.Buffer);
        pool.Return(clearOutput.Buffer);
        var (inner, bridge) = identity.Accept(_socket, _options.StopTimeout);
        using var last = bridge;
        using var wire = new Wire(inner);
        _decrypted = wire;

        // A stop that came just before has ended the input of the socket, and the bridge brings that here.
        var (input, output) = (new InputBuffer(wire, pool), new OutputBuffer(wire, pool));
        Serve(wire, pool, input, output, new Handshake(_exports, input, output).RunEncrypted(noZeroes), limit);
    }

    private void Serve(Wire wire, BufferPool pool, InputBuffer input, OutputBuffer output, Session? session, ITimer handshakeLimit)
    {
        handshakeLimit.Dispose();
        if (session is null)
            return;
        if (session.WriterEpoch != 0 && !session.Export.Writers.TryEnter(this, session.WriterEpoch))
            throw new DisconnectException("a writer of a later epoch has come meanwhile");
        session.Export.CountConnection(1);
        try
        {
            using var reads = ReadLoop.Enter();
            using var pipe = new PayloadPipe();
            wire.Reads = reads;
            new Transmission(wire, pool, input, output, pipe, session, _abort).Run();
        }
        finally
        {
            session.Export.CountConnection(-1);
            if (session.WriterEpoch != 0)
                session.Export.Writers.Leave(this);
        }
    }

    private static void OnTooSlow(object? connection)
    {
        var slow = (Connection)connection!;
        slow._tooSlow = true;
        slow._wire.Cut();
    }
}
