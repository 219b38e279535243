using System.Net.Sockets;
using Godwit.Fuzz.Engine;
using Godwit.Testing;

namespace Godwit.Fuzz.Nbd;

/// <summary>What an honest server said to our client, and a server that says it again with changes.</summary>
internal sealed class RecordedServer
{
    // A client that asks for less than it did when the record was made is answered all the same, after this long.
    private const int SilenceMicroseconds = 2_000;
    private static readonly TempFolder Folder = new();
    private readonly List<(long Asked, int Length)> _parts = [];
    private readonly List<byte> _said = [];

    private readonly ClientScript _script;

    private RecordedServer(ClientScript script) => _script = script;

    public byte[] Said => [.. _said];

    /// <summary>Where each answer starts, with its length.</summary>
    public IEnumerable<(int At, int Length)> Answers()
    {
        var at = 0;
        foreach (var (_, length) in _parts)
        {
            yield return (at, length);
            at += length;
        }
    }

    /// <summary>Lets our client talk to an honest server and listens.</summary>
    public static async ValueTask<RecordedServer> RecordAsync(ServerUnderFuzz server, ClientScript script)
    {
        var record = new RecordedServer(script);
        server.Renew();
        await record.ServeAsync(null, async client =>
        {
            using var honest = ServerUnderFuzz.NewSocket();
            honest.Connect(server.EndPoint);
            await Task.Run(() => record.Relay(client, honest));
        });
        return record;
    }

    /// <summary>Runs our client against the record with changes.</summary>
    /// <exception cref="FuzzFinding">It has taken what was said for something else.</exception>
    public async ValueTask ReplayAsync(byte[] said, Signals signals)
    {
        if (await ServeAsync(signals, client => Task.Run(() => Say(client, said))))
            ConnectionCheck.Judge(_script, said);
    }

    private async ValueTask<bool> ServeAsync(Signals? signals, Func<Socket, Task> serve)
    {
        var path = Folder.File("r");
        File.Delete(path);
        using var listener = ServerUnderFuzz.NewSocket();
        var address = new UnixDomainSocketEndPoint(path);
        listener.Bind(address);
        listener.Listen(1);
        var serving = Task.Run(async () =>
        {
            using var client = await listener.AcceptAsync();
            await serve(client);
        });
        var connected = await _script.RunAsync(address, signals);
        await serving;
        return connected;
    }

    private void Relay(Socket client, Socket honest)
    {
        var buffer = new byte[64 << 10];
        var asked = 0L;
        var ends = new List<Socket>();
        while (true)
        {
            ends.Clear();
            ends.AddRange([client, honest]);
            Socket.Select(ends, null, null, -1);
            var from = ends.Contains(honest) ? honest : client;
            var count = from.Receive(buffer);
            if (count == 0)
                return;
            (from == honest ? client : honest).Send(buffer.AsSpan(0, count));
            if (from == client)
                asked += count;
            else
                Note(asked, buffer.AsSpan(0, count));
        }
    }

    private void Note(long asked, ReadOnlySpan<byte> said)
    {
        _said.AddRange(said);
        if (_parts.Count > 0 && _parts[^1].Asked == asked)
            _parts[^1] = (asked, _parts[^1].Length + said.Length);
        else
            _parts.Add((asked, said.Length));
    }

    private void Say(Socket client, byte[] said)
    {
        var buffer = new byte[64 << 10];
        var heard = 0L;
        var at = 0;
        try
        {
            foreach (var (asked, length) in _parts)
            {
                while (heard < asked && client.Poll(SilenceMicroseconds, SelectMode.SelectRead))
                {
                    var count = client.Receive(buffer);
                    if (count == 0)
                        return;
                    heard += count;
                }

                // What the changes made longer goes with the last answer.
                var end = length == _parts[^1].Length && asked == _parts[^1].Asked ? said.Length : Math.Min(at + length, said.Length);
                client.Send(said.AsSpan(at, Math.Max(0, end - at)));
                at = Math.Max(at, end);
            }
        }
        catch (SocketException)
        {
            // The client has left: what it heard was nothing it could go on with.
        }
    }
}
