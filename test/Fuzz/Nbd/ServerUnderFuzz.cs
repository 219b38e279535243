using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Fuzz.Engine;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Testing;

namespace Godwit.Fuzz.Nbd;

/// <summary>A server on a unix socket that lives as long as the program, as a worker's does.</summary>
internal sealed class ServerUnderFuzz
{
    private readonly TempFolder _folder = new();
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly NbdServer _server;
    private readonly Task _running;
    private long _witnesses;

    public ServerUnderFuzz()
    {
        EndPoint = new UnixDomainSocketEndPoint(_folder.File("s"));
        var listener = NewSocket();
        listener.Bind(EndPoint);
        listener.Listen(16);
        _server = new NbdServer(
            [new NbdExport("disk", Disk), new NbdExport("other", new ChangeJournal(SessionScript.OtherSize))], new NbdServerOptions { OnProblem = _problems.Enqueue });
        _running = _server.RunAsync(listener, CancellationToken.None);
    }

    public UnixDomainSocketEndPoint EndPoint { get; }

    public ChangeJournal Disk { get; } = new(SessionScript.DiskSize);

    public static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    /// <summary>Sends a session in pieces and takes what comes back. How it is split, and whether the client hangs up without
    /// listening, follows from its bytes: the same input is always the same session.</summary>
    public byte[] Play(byte[] session)
    {
        using var socket = NewSocket();
        socket.Connect(EndPoint);
        socket.ReceiveTimeout = 20_000;
        var random = new Random(HashOf(session));
        if (random.Next(8) == 0)
        {
            Send(socket, session, random);
            return [];
        }

        // Both at once: a server that waits for its answers to be taken takes no more requests.
        var sending = Task.Run(() => Send(socket, session, random));
        var answers = Receive(socket);
        sending.GetAwaiter().GetResult();
        return answers;
    }

    /// <summary>Waits until the server has let go of every client.</summary>
    public async ValueTask UntilAloneAsync(TimeSpan patience)
    {
        var start = Stopwatch.GetTimestamp();
        for (var round = 0; _server.Connections > 0; round++)
        {
            if (_running.IsCompleted)
                throw new FuzzFinding($"the server has ended: {_running.Exception?.GetBaseException()}");
            if (Stopwatch.GetElapsedTime(start) > patience)
                throw new FuzzFinding("a session does not end after its client has gone");
            if (round < 100)
                await Task.Yield();
            else
                await Task.Delay(1);
        }
    }

    /// <summary>An honest client is served as ever.</summary>
    public async ValueTask WitnessAsync(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await using var device = await NbdDevice.ConnectAsync(EndPoint, "disk", limit.Token);
            var written = new byte[4096];
            BitConverter.TryWriteBytes(written, ++_witnesses);
            await device.WriteAsync(8192, written, WriteFlags.None, limit.Token);
            var read = new byte[written.Length];
            await device.ReadAsync(8192, read, limit.Token);
            if (!read.AsSpan().SequenceEqual(written))
                throw new FuzzFinding("an honest client reads other bytes than it wrote");
        }
        catch (Exception e) when (e is StorageException or OperationCanceledException)
        {
            throw new FuzzFinding($"an honest client is not served: {e.Message}");
        }

        await UntilAloneAsync(patience);
        Disk.Take();
    }

    public IEnumerable<string> TakeProblems()
    {
        while (_problems.TryDequeue(out var problem))
            yield return problem;
    }

    private static int HashOf(ReadOnlySpan<byte> bytes)
    {
        var hash = 2166136261u;
        foreach (var one in bytes)
            hash = (hash ^ one) * 16777619u;
        return (int)hash;
    }

    private static void Send(Socket socket, ReadOnlySpan<byte> session, Random random)
    {
        try
        {
            while (!session.IsEmpty)
            {
                var piece = random.Next(3) switch { 0 => random.Next(1, 40), 1 => random.Next(1, 600), _ => session.Length };
                session = session[socket.Send(session[..Math.Min(piece, session.Length)])..];
            }

            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // Cut off before the end: the answer to garbage.
        }
    }

    private static byte[] Receive(Socket socket)
    {
        using var all = new MemoryStream();
        var bytes = new byte[32 << 10];
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
