using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Fuzz.Engine;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Testing;

namespace Godwit.Fuzz.Nbd;

/// <summary>A server on a unix socket that lives as long as the program, as a worker's does. Its disks are new for every session.</summary>
internal sealed class ServerUnderFuzz
{
    private static readonly string? Memory = Directory.Exists("/dev/shm") ? "/dev/shm" : null;
    private readonly TempFolder _folder = new(Memory);
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly NbdExport[] _exports;
    private readonly NbdServer _server;
    private readonly Task _running;
    private long _witnesses;

    public ServerUnderFuzz()
    {
        // Both ends of a session wait in threads of the pool, and a device that is slow needs one more; new ones come slowly otherwise.
        ThreadPool.SetMinThreads(16, 16);
        EndPoint = new UnixDomainSocketEndPoint(_folder.File("s"));
        var listener = NewSocket();
        listener.Bind(EndPoint);
        listener.Listen(16);
        Disk = new DiskUnderFuzz(_folder);
        _exports = [Disk.Export, new NbdExport(SessionScript.OtherName, Other)];
        _server = new NbdServer(_exports, new NbdServerOptions { OnProblem = _problems.Enqueue });
        _running = _server.RunAsync(listener, CancellationToken.None);
    }

    public UnixDomainSocketEndPoint EndPoint { get; }

    /// <summary>The disk most sessions are about.</summary>
    public DiskUnderFuzz Disk { get; }

    /// <summary>One that offers as little as can be.</summary>
    public ChangeJournal Other { get; } = new(SessionScript.OtherSize, new byte[SessionScript.OtherSize]);

    /// <summary>What is offered.</summary>
    public static IReadOnlyList<OfferedExport> Offered { get; } =
    [
        new(SessionScript.DiskName, SessionScript.DiskSize, SessionScript.MaxDiskSize, ["base:allocation", "godwit:layer", OfferedExport.FirstPoint, OfferedExport.LostPoint]),
        new(SessionScript.OtherName, SessionScript.OtherSize, SessionScript.OtherSize, ["base:allocation", "godwit:layer"]),
    ];

    public static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    /// <summary>Makes the disks what they were at first; nobody is connected.</summary>
    public void Renew()
    {
        Disk.Renew();
        _exports[0] = Disk.Export;
        Other.Take();
        Other.Wipe();
    }

    /// <summary>Plays a session and waits until the server has let go of it.</summary>
    public async ValueTask<SessionOutcome> PlayAsync(byte[] session, TimeSpan patience)
    {
        var play = new SessionPlay(EndPoint, session) { Rival = () => RivalAsync(patience) };
        Disk.Journal.Temper = Other.Temper = play.Temper;
        var outcome = play.Run();
        await UntilAloneAsync(patience);
        Disk.Journal.Temper = Other.Temper = DeviceTemper.Plain;
        return outcome with { OnDisk = Disk.Journal.Take(), OnOther = Other.Take() };
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
                throw new FuzzFinding($"a session does not end after its client has gone; {StuckThreads.Describe("nbd")}");
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
            await using var device = await NbdDevice.ConnectAsync(EndPoint, SessionScript.DiskName, limit.Token);
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
    }

    public IEnumerable<string> TakeProblems()
    {
        while (_problems.TryDequeue(out var problem))
            yield return problem;
    }

    /// <summary>A later writer comes, writes and reads.</summary>
    private async ValueTask<RivalVisit> RivalAsync(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        var letIn = -1;
        try
        {
            await using var device = await NbdDevice.ConnectAsync(
                EndPoint, SessionScript.DiskName, new NbdClientOptions { WriterEpoch = RivalVisit.Epoch }, limit.Token);
            letIn = Disk.Journal.Count;
            await device.WriteAsync(RivalVisit.Offset, RivalVisit.Content, WriteFlags.None, limit.Token);
            var read = new byte[RivalVisit.Content.Length];
            await device.ReadAsync(RivalVisit.Offset, read, limit.Token);
            return new RivalVisit(letIn, null, !read.AsSpan().SequenceEqual(RivalVisit.Content));
        }
        catch (StorageException refused) when (letIn >= 0 && refused.Kind == StorageErrorKind.NoSpace)
        {
            // The device's mood, not the server's.
            return new RivalVisit(letIn, null, false);
        }
        catch (Exception e) when (e is StorageException or OperationCanceledException)
        {
            return new RivalVisit(letIn, e.Message, false);
        }
    }
}
