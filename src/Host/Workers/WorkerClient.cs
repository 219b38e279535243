using System.Buffers;
using System.Net.Sockets;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.Host.Workers;

/// <summary>Asks a worker over its control socket: one connection, one line each way.</summary>
/// <remarks>The supervisor holds the socket, so a connection is accepted while the worker is being started again and the
/// request waits for it. A reply that does not come may have been carried out all the same.</remarks>
internal static class WorkerClient
{
    private const int MaximumReply = 4 << 20;

    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: nobody listens, or no reply came in time.</exception>
    public static async Task<WorkerReply> AskAsync(
        string socketPath, WorkerRequest request, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(LimitOf(request), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await ExchangeAsync(socketPath, request, both.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unavailable(socketPath, $"no reply within {LimitOf(request).TotalSeconds:0} s", null);
        }
        catch (Exception e) when (e is SocketException or IOException or JsonException)
        {
            throw Unavailable(socketPath, e.Message, e);
        }
    }

    private static async Task<WorkerReply> ExchangeAsync(string socketPath, WorkerRequest request, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
        await using var stream = new NetworkStream(socket, ownsSocket: false);
        var line = JsonSerializer.SerializeToUtf8Bytes(request, ApiJson.Default.WorkerRequest);
        await stream.WriteAsync((byte[])[.. line, (byte)'\n'], cancellationToken);
        var reply = await ReadLineAsync(stream, cancellationToken);
        return JsonSerializer.Deserialize(reply.Span, ApiJson.Default.WorkerReply)
            ?? throw new IOException("the reply is empty");
    }

    private static async Task<ReadOnlyMemory<byte>> ReadLineAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var read = new ArrayBufferWriter<byte>(4096);
        while (read.WrittenCount < MaximumReply)
        {
            var count = await stream.ReadAsync(read.GetMemory(4096), cancellationToken);
            if (count == 0)
            {
                throw new IOException("the worker hung up before it replied");
            }
            read.Advance(count);
            if (read.WrittenSpan[^1] == (byte)'\n')
            {
                return read.WrittenMemory[..^1];
            }
        }
        throw new IOException($"the reply is longer than {MaximumReply} bytes");
    }

    // Creating a fixed target or flushing a slow one takes its time; a status never should.
    private static TimeSpan LimitOf(WorkerRequest request) => TimeSpan.FromSeconds(request is GetStatus ? 10 : 120);

    private static GodwitException Unavailable(string socketPath, string why, Exception? cause) => new(
        new Problem(ErrorCode.Unavailable, $"The disk worker at '{socketPath}' does not answer: {why}."), cause);
}
