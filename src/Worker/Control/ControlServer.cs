using System.Net.Sockets;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Worker.Logging;

namespace Godwit.Worker.Control;

/// <summary>Carries out one request.</summary>
/// <param name="request">What is asked.</param>
/// <returns>The status after it.</returns>
/// <exception cref="GodwitException">The request is refused.</exception>
internal delegate Task<WorkerStatus> RequestHandler(WorkerRequest request);

/// <summary>Answers <see cref="WorkerRequest"/> lines of any number of clients, each client's in order.</summary>
/// <param name="handle">Carries the requests out; called for several clients at once.</param>
/// <param name="log">Told about defects.</param>
internal sealed class ControlServer(RequestHandler handle, EventLog log)
{
    /// <summary>Longest request line in bytes: the longest path twice, escaped, fits with room to spare.</summary>
    internal const int MaxLineBytes = 64 * 1024;

    private const int MaxClients = 64;
    private readonly List<Task> _clients = [];

    /// <summary>Accepts until cancelled, then lets requests that are being carried out finish and answer.</summary>
    internal async Task RunAsync(Socket listener, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
                _clients.RemoveAll(task => task.IsCompleted);
                if (_clients.Count >= MaxClients)
                {
                    client.Dispose();
                    continue;
                }

                _clients.Add(ServeAsync(client, cancellationToken));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(_clients).ConfigureAwait(false);
        }
    }

    private async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        using var stream = new NetworkStream(client, ownsSocket: true);
        var lines = new LineReader(stream, MaxLineBytes);
        try
        {
            while (await lines.ReadAsync(cancellationToken).ConfigureAwait(false) is { } line)
            {
                var reply = await AnswerAsync(line).ConfigureAwait(false);
                await SendAsync(stream, reply).ConfigureAwait(false);
            }

            if (lines.TooLong)
                await SendAsync(stream, Refusal($"the request is longer than {MaxLineBytes} bytes")).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client hung up or the worker ends: nobody is left to tell.
        }
    }

    private async Task<WorkerReply> AnswerAsync(ReadOnlyMemory<byte> line)
    {
        WorkerRequest? request;
        try
        {
            request = JsonSerializer.Deserialize(line.Span, ApiJson.Default.WorkerRequest);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return Refusal($"not a request this worker knows: {e.Message}");
        }

        try
        {
            return request is null ? Refusal("the request is null") : new WorkerReply(await handle(request).ConfigureAwait(false), null);
        }
        catch (Exception e)
        {
            if (Problems.TryOf(e) is { } problem)
                return new WorkerReply(null, problem);
            log.Error($"{request!.GetType().Name} failed: {e}");
            return new WorkerReply(null, new Problem(ErrorCode.Internal, $"{e.GetType().Name}: {e.Message}", "see worker.log"));
        }
    }

    private static WorkerReply Refusal(string title) => new(null, new Problem(ErrorCode.InvalidRequest, title));

    private static async Task SendAsync(NetworkStream stream, WorkerReply reply)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(reply, ApiJson.Default.WorkerReply);
        var line = new byte[json.Length + 1];
        json.CopyTo(line, 0);
        line[^1] = (byte)'\n';
        // Not cancelled with the worker: the answer to "stop" is sent while everything else ends.
        await stream.WriteAsync(line, CancellationToken.None).ConfigureAwait(false);
    }
}
