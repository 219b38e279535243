using System.Text;
using System.Text.Json;

namespace Godwit.Testing.Qemu;

/// <summary>QEMU's side of a QMP connection, played by a test.</summary>
public sealed class ScriptedQmp(Stream stream) : IDisposable
{
    public const string Greeting =
        """{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "test"}, "capabilities": ["oob"]}}""";

    private readonly List<byte> _received = [];

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendAsync(string text) => await stream.WriteAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Sends one line.</summary>
    public Task SendLineAsync(string json) => SendAsync(json + "\r\n");

    /// <summary>Receives the next command.</summary>
    /// <exception cref="EndOfStreamException">The other side hung up.</exception>
    public async Task<ScriptedCommand> ReceiveAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[4096];
        int end;
        while ((end = _received.IndexOf((byte)'\n')) < 0)
        {
            var n = await stream.ReadAsync(buffer, cancellationToken);
            if (n == 0)
                throw new EndOfStreamException();
            _received.AddRange(buffer[..n]);
        }

        var line = _received.GetRange(0, end).ToArray();
        _received.RemoveRange(0, end + 1);
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement.Clone();
        var outOfBand = root.TryGetProperty("exec-oob", out var name);
        var command = outOfBand ? name.GetString()! : root.GetProperty("execute").GetString()!;
        return new ScriptedCommand(command, root.GetProperty("id").GetInt64(), outOfBand, root.TryGetProperty("arguments", out var a) ? a : default);
    }

    /// <summary>Greets and answers qmp_capabilities.</summary>
    public async Task GreetAsync(CancellationToken cancellationToken)
    {
        await SendLineAsync(Greeting);
        await ReturnAsync(await ReceiveAsync(cancellationToken), "{}");
    }

    /// <summary>Answers a command.</summary>
    public Task ReturnAsync(ScriptedCommand command, string json) => SendLineAsync($$"""{"return": {{json}}, "id": {{command.Id}}}""");

    /// <summary>Refuses a command.</summary>
    public Task RefuseAsync(ScriptedCommand command, string errorClass, string description) =>
        SendLineAsync($$$"""{"id": {{{command.Id}}}, "error": {"class": "{{{errorClass}}}", "desc": "{{{description}}}"}}""");

    /// <summary>Sends an event.</summary>
    public Task RaiseAsync(string name, string json) =>
        SendLineAsync($$$"""{"timestamp": {"seconds": 1700000000, "microseconds": 250000}, "event": "{{{name}}}", "data": {{{json}}}}""");

    /// <summary>Hangs up.</summary>
    public void Dispose() => stream.Dispose();
}

/// <summary>A command as it came.</summary>
public sealed record ScriptedCommand(string Name, long Id, bool OutOfBand, JsonElement Arguments);
