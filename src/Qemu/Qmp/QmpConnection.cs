using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;

namespace Godwit.Qemu.Qmp;

/// <summary>A monitor connection: commands answered in order, and events beside them.</summary>
/// <remarks>
/// <para>All members may be called from any thread. Commands go out one at a time; out-of-band commands overtake them.
/// A caller that gives up leaves its command with QEMU: it is carried out all the same and its answer is dropped.</para>
/// <para>When the other side ends the connection or sends what is no QMP, the connection is over: commands fail with
/// <see cref="QmpConnectionException"/>, <see cref="Events"/> ends and <see cref="Completion"/> completes.</para>
/// <para>Source: QMP specification (docs/interop/qmp-spec of QEMU).</para>
/// </remarks>
public sealed class QmpConnection : IAsyncDisposable
{
    /// <summary>Longest line accepted from QEMU, in bytes.</summary>
    public const int MaximumLine = 16 << 20;

    /// <summary>Longest command sent, in bytes.</summary>
    public const int MaximumCommand = 1 << 20;

    private const int EventsKept = 256;

    private readonly Stream _stream;
    private readonly PipeReader _reader;
    private readonly SemaphoreSlim _inOrder = new(1, 1);
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ConcurrentDictionary<long, TaskCompletionSource<QmpMessage>> _pending = new();
    private readonly Channel<QmpEvent> _events;
    private readonly TaskCompletionSource<QmpConnectionException> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _readLoop = Task.CompletedTask;
    private long _lastId;
    private long _eventsDropped;

    private QmpConnection(Stream stream)
    {
        _stream = stream;
        _reader = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));
        var options = new BoundedChannelOptions(EventsKept) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true };
        _events = Channel.CreateBounded<QmpEvent>(options, _ => Interlocked.Increment(ref _eventsDropped));
    }

    /// <summary>Events in order. When nobody reads, the oldest are dropped (<see cref="EventsDropped"/>), never the reader blocked.
    /// Ends with the connection.</summary>
    public ChannelReader<QmpEvent> Events => _events.Reader;

    /// <summary>Events dropped because nobody read them; above zero means: ask for the state.</summary>
    public long EventsDropped => Interlocked.Read(ref _eventsDropped);

    /// <summary>Out-of-band commands are possible.</summary>
    public bool OutOfBand { get; private set; }

    /// <summary>QEMU's version as it greeted us.</summary>
    public QemuVersion Version { get; private set; } = new(0, 0, 0);

    /// <summary>Completes when the connection is over, with the reason.</summary>
    public Task<QmpConnectionException> Completion => _ended.Task;

    /// <summary>Connects to a monitor's unix socket and greets.</summary>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    /// <exception cref="QmpConnectionException">Who answers does not speak QMP, or hung up.</exception>
    public static async Task<QmpConnection> ConnectAsync(string socketPath, CancellationToken cancellationToken)
    {
        var (connection, _) = await ConnectToPeerAsync(socketPath, cancellationToken).ConfigureAwait(false);
        return connection;
    }

    /// <summary>Greets over a stream in both directions.</summary>
    /// <param name="stream">Belongs to the connection from here on, also when this fails.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QmpConnectionException">The other side does not speak QMP, or hung up.</exception>
    public static async Task<QmpConnection> OpenAsync(Stream stream, CancellationToken cancellationToken)
    {
        var connection = new QmpConnection(stream);
        try
        {
            await connection.GreetAsync(cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch (Exception e)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            if (e is IOException and not QmpConnectionException)
                throw new QmpConnectionException($"QMP: the connection broke during the greeting: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Runs a command without arguments.</summary>
    /// <exception cref="QmpException">QEMU refused it.</exception>
    /// <exception cref="QmpConnectionException">The connection is over.</exception>
    public Task<TResult> ExecuteAsync<TResult>(string command, JsonTypeInfo<TResult> result, CancellationToken cancellationToken) =>
        ExecuteAsync<QmpNothing, TResult>(command, null, null, result, cancellationToken);

    /// <summary>Runs a command.</summary>
    /// <exception cref="QmpException">QEMU refused it.</exception>
    /// <exception cref="QmpConnectionException">The connection is over.</exception>
    public async Task<TResult> ExecuteAsync<TArguments, TResult>(
        string command, TArguments? arguments, JsonTypeInfo<TArguments>? argumentsType, JsonTypeInfo<TResult> resultType, CancellationToken cancellationToken)
        where TArguments : class
    {
        await _inOrder.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await CallAsync("execute", command, arguments, argumentsType, resultType, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _inOrder.Release();
        }
    }

    /// <summary>Runs a command that overtakes those in order, even one in which QEMU hangs.</summary>
    /// <exception cref="QmpException">QEMU refused it.</exception>
    /// <exception cref="QmpConnectionException">The connection is over, or this monitor has no out-of-band commands.</exception>
    public Task<TResult> ExecuteOutOfBandAsync<TArguments, TResult>(
        string command, TArguments? arguments, JsonTypeInfo<TArguments>? argumentsType, JsonTypeInfo<TResult> resultType, CancellationToken cancellationToken)
        where TArguments : class =>
        OutOfBand
            ? CallAsync("exec-oob", command, arguments, argumentsType, resultType, cancellationToken)
            : throw new QmpConnectionException($"QMP: {command} cannot overtake: this monitor offers no out-of-band commands");

    /// <summary>Ends the connection; QEMU goes on. May be called again without effect.</summary>
    public async ValueTask DisposeAsync()
    {
        End(new QmpConnectionException("QMP: the connection was closed by us"));
        _reader.CancelPendingRead();
        await _stream.DisposeAsync().ConfigureAwait(false);
        await _readLoop.ConfigureAwait(false);
    }

    /// <summary>As <see cref="ConnectAsync"/>, with the number of the process at the other end.</summary>
    internal static async Task<(QmpConnection Connection, int PeerId)> ConnectToPeerAsync(string socketPath, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken).ConfigureAwait(false);
            var peer = PeerOf(socket);
            return (await OpenAsync(new NetworkStream(socket, ownsSocket: true), cancellationToken).ConfigureAwait(false), peer);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // SO_PEERCRED of SOL_SOCKET: struct ucred { pid, uid, gid } of the process that called listen().
    private static int PeerOf(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        return socket.GetRawSocketOption(1, 17, credentials) == 12 ? BitConverter.ToInt32(credentials) : 0;
    }

    private async Task GreetAsync(CancellationToken cancellationToken)
    {
        var greeting = await ReadMessageAsync(cancellationToken).ConfigureAwait(false)
            ?? throw new QmpConnectionException("QMP: the connection ended before the greeting");
        if (greeting.Kind != QmpMessageKind.Greeting)
            throw new QmpConnectionException($"QMP: a greeting was expected, a message of kind {greeting.Kind} came");
        var (version, offersOutOfBand) = QmpGreeting.Read(greeting.Body);
        Version = version;
        _readLoop = ReadLoopAsync();
        await ExecuteAsync(
            "qmp_capabilities", new QmpCapabilities(offersOutOfBand ? ["oob"] : []),
            QmpJson.Default.QmpCapabilities, QmpJson.Default.QmpNothing, cancellationToken).ConfigureAwait(false);
        OutOfBand = offersOutOfBand;
    }

    private async Task<TResult> CallAsync<TArguments, TResult>(
        string verb, string command, TArguments? arguments, JsonTypeInfo<TArguments>? argumentsType, JsonTypeInfo<TResult> resultType, CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref _lastId);
        var line = QmpMessage.Command(verb, command, id, arguments, argumentsType);
        if (line.Length > MaximumCommand)
            throw new ArgumentException($"QMP: {command} with its arguments is {line.Length} bytes; {MaximumCommand} is the limit", nameof(arguments));
        var answer = new TaskCompletionSource<QmpMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answer;
        try
        {
            await SendAsync(line, cancellationToken).ConfigureAwait(false);
            return Result(command, await answer.Task.WaitAsync(cancellationToken).ConfigureAwait(false), resultType);
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    private static TResult Result<TResult>(string command, QmpMessage answer, JsonTypeInfo<TResult> type)
    {
        if (answer.Kind == QmpMessageKind.Error)
            throw new QmpException(command, answer.Text("class", "GenericError"), answer.Text("desc", "no reason given"));
        try
        {
            return answer.Body.Deserialize(type) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new QmpConnectionException($"QMP: the answer to {command} is not of the form it should have: {e.Message}", e);
        }
    }

    private async Task SendAsync(byte[] line, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_ended.Task.IsCompleted)
                throw Over();
            // Not cancelled half way: a torn line would spoil the commands after it.
            await _stream.WriteAsync(line, CancellationToken.None).ConfigureAwait(false);
            await _stream.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException and not QmpConnectionException or ObjectDisposedException)
        {
            End(new QmpConnectionException($"QMP: the connection broke: {e.Message}", e));
            throw Over();
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadLoopAsync()
    {
        try
        {
            while (await ReadMessageAsync(CancellationToken.None).ConfigureAwait(false) is { } message)
                Dispatch(message);
            End(new QmpConnectionException("QMP: QEMU ended the connection"));
        }
        catch (QmpConnectionException e)
        {
            End(e);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            End(new QmpConnectionException($"QMP: the connection broke: {e.Message}", e));
        }
    }

    private void Dispatch(QmpMessage message)
    {
        switch (message.Kind)
        {
            case QmpMessageKind.Event:
                _events.Writer.TryWrite(new QmpEvent(message.EventName, message.Body, message.Time));
                break;
            case QmpMessageKind.Greeting:
                throw new QmpConnectionException("QMP: a second greeting came");
            case QmpMessageKind.Error when message.Id is null:
                throw new QmpConnectionException($"QMP: QEMU did not understand us: {message.Text("desc", "no reason given")}");
            default:
                if (message.Id is not long id || id < 1 || id > Interlocked.Read(ref _lastId))
                    throw new QmpConnectionException("QMP: an answer came to a command that was never sent");
                if (_pending.TryRemove(id, out var waiter)) // Nobody: its caller has given up.
                    waiter.TrySetResult(message);
                break;
        }
    }

    // The next line; null at the end of the connection.
    private async ValueTask<QmpMessage?> ReadMessageAsync(CancellationToken cancellationToken)
    {
        // What was searched already: searching a long line again for each of its pieces would take a time that grows with its square.
        var searched = 0L;
        while (true)
        {
            var read = await _reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (read.IsCanceled)
                return null;
            var buffer = read.Buffer;
            if (buffer.Slice(searched).PositionOf((byte)'\n') is { } end)
            {
                searched = 0;
                var line = buffer.Slice(0, end);
                var message = IsBlank(line) ? null : QmpMessage.Parse(line);
                _reader.AdvanceTo(buffer.GetPosition(1, end));
                if (message is not null)
                    return message;
                continue;
            }

            if (buffer.Length > MaximumLine)
                throw new QmpConnectionException($"QMP: a line is longer than {MaximumLine} bytes");
            searched = buffer.Length;
            _reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
                return searched == 0 ? null : throw new QmpConnectionException($"QMP: the connection ended in the middle of a line, after {searched} bytes");
        }
    }

    private static bool IsBlank(ReadOnlySequence<byte> line) => line.Length == 0 || (line.Length == 1 && line.FirstSpan[0] == '\r');

    private void End(QmpConnectionException reason)
    {
        if (!_ended.TrySetResult(reason))
            return;
        _events.Writer.TryComplete();
        foreach (var waiter in _pending.Values)
            waiter.TrySetException(Over());
    }

    // A new one for each caller: a shared exception object would collect all their stacks.
    private QmpConnectionException Over()
    {
        var reason = _ended.Task.GetAwaiter().GetResult();
        return new QmpConnectionException(reason.Message, reason);
    }
}
