using System.Net.Sockets;
using System.Runtime.InteropServices;
using Godwit.Fuzz.Engine;

namespace Godwit.Fuzz.Nbd;

/// <summary>Sends a session in pieces and takes what comes back. How it is split, whether the client hangs up without listening, what the device is
/// like and whether a later writer comes follows from its bytes: the same input is always the same session, but for who is quicker.</summary>
internal sealed class SessionPlay
{
    private static readonly byte[] Supersede = [0x47, 0x57, 0x00, 0x01];
    private readonly UnixDomainSocketEndPoint _server;
    private readonly byte[] _session;
    private readonly Random _random;
    private readonly bool _listens;
    private readonly int _rivalAt;
    private RivalVisit? _visit;

    public SessionPlay(UnixDomainSocketEndPoint server, byte[] session)
    {
        _server = server;
        _session = session;
        _random = new Random(HashOf(session));
        Temper = DeviceTemper.Of(_random.Next());
        _listens = _random.Next(8) != 0;
        _rivalAt = _listens && _random.Next(3) == 0 && session.AsSpan().IndexOf(Supersede) >= 0 ? _random.Next(session.Length) : -1;
    }

    /// <summary>What the device is to be like.</summary>
    public DeviceTemper Temper { get; }

    /// <summary>Lets a later writer come and go.</summary>
    public required Func<ValueTask<RivalVisit>> Rival { get; init; }

    /// <summary>Plays it.</summary>
    /// <exception cref="FuzzFinding">The server neither answers nor hangs up.</exception>
    public SessionOutcome Run()
    {
        using var socket = ServerUnderFuzz.NewSocket();
        socket.Connect(_server);
        socket.ReceiveTimeout = 20_000;
        if (!_listens)
        {
            // Whoever is gone before the server has accepted him meets the next session.
            _ = socket.Receive(new byte[1]);

            // A server whose answers nobody takes takes no more requests.
            socket.SendTimeout = 20;
            Send(socket);
            return new SessionOutcome(null, null, Temper.IsPrompt);
        }

        // Both at once: a server that waits for its answers to be taken takes no more requests.
        var sending = Task.Run(() => Send(socket));
        var answers = Receive(socket);
        sending.GetAwaiter().GetResult();
        return new SessionOutcome(answers, _visit, Temper.IsPrompt && _visit is null);
    }

    private static int HashOf(ReadOnlySpan<byte> bytes)
    {
        // Eight bytes at once: some sessions have megabytes.
        var hash = 14695981039346656037UL;
        foreach (var eight in MemoryMarshal.Cast<byte, ulong>(bytes))
            hash = ((hash ^ eight) * 1099511628211UL) ^ (hash >> 29);
        foreach (var one in bytes[(bytes.Length & ~7)..])
            hash = (hash ^ one) * 1099511628211UL;
        return (int)(hash ^ (hash >> 32));
    }

    private void Send(Socket socket)
    {
        try
        {
            for (var at = 0; at < _session.Length;)
            {
                if (at == _rivalAt)
                    _visit = Rival().AsTask().GetAwaiter().GetResult();
                var piece = Math.Min(NextPiece(), _session.Length - at);
                if (at < _rivalAt)
                    piece = Math.Min(piece, _rivalAt - at);
                at += socket.Send(_session.AsSpan(at, piece));
            }

            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // Cut off before the end: the answer to garbage.
        }
    }

    private int NextPiece() => _random.Next(6) switch
    {
        0 => _random.Next(1, 40),
        1 => _random.Next(1, 600),
        2 => _random.Next(1, 20_000),
        3 => _random.Next(1, 300_000),
        _ => int.MaxValue,
    };

    private static byte[] Receive(Socket socket)
    {
        using var all = new MemoryStream();
        var bytes = new byte[64 << 10];
        try
        {
            for (int received; (received = socket.Receive(bytes)) > 0;)
                all.Write(bytes, 0, received);
        }
        catch (SocketException failure) when (failure.SocketErrorCode is SocketError.ConnectionReset)
        {
            // Hung up on while something of ours was still unread: an end like any other.
        }
        catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            throw new FuzzFinding("the server neither answers nor hangs up");
        }

        return all.ToArray();
    }
}
