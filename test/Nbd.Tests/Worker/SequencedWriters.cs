using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Tests.Nbd;
using Xunit;
using Xunit.Sdk;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>
/// Clients that write numbered, checksummed records and reconnect as QEMU does: what was not answered is sent again, what was
/// answered never. Remembers every acknowledged number, so that afterwards each can be looked for.
/// </summary>
internal sealed class SequencedWriters : IAsyncDisposable
{
    private readonly string _socket;
    private readonly string _export;
    private readonly Random[] _random;
    private readonly long[] _acknowledged;
    private readonly long[] _sent;
    private readonly long[] _writes;
    private readonly long[] _longest;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _tasks;
    private readonly TimeSpan _pause;
    private readonly int _recordBytes;
    private long _sequence;
    private int _refused;
    private int _errors;

    private SequencedWriters(string socket, string export, long length, int writers, int seed, TimeSpan pause, int recordBytes)
    {
        (_socket, _export, _pause, _recordBytes) = (socket, export, pause, recordBytes);
        _random = [.. Enumerable.Range(0, writers).Select(i => new Random(seed + i))];
        _acknowledged = new long[length / _recordBytes];
        _sent = new long[length / _recordBytes];
        _writes = new long[writers];
        _longest = new long[writers];
        _tasks = [.. Enumerable.Range(0, writers).Select(i => Task.Factory.StartNew(() => Run(i), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
    }

    /// <summary>Writes answered so far.</summary>
    public long Acknowledged => _writes.Sum();

    /// <summary>Times nobody listened on the socket; with a supervisor alive this must stay 0.</summary>
    public int Refused => Volatile.Read(ref _refused);

    /// <summary>Requests that were answered with an error: a guest would see each.</summary>
    public int Errors => Volatile.Read(ref _errors);

    public static SequencedWriters Start(
        string socket, string export, long length, int writers, int seed, TimeSpan pause = default, int recordBytes = 4096) =>
        new(socket, export, length, writers, seed, pause, recordBytes);

    /// <summary>Runs something that hurts the server, then waits until every writer has been answered again.</summary>
    /// <returns>The longest any of them waited for one answer meanwhile.</returns>
    public async Task<TimeSpan> StallAsync(Func<Task> hurt, CancellationToken ct)
    {
        Array.Clear(_longest);
        await hurt();
        var before = _writes.ToArray();
        while (_writes.Zip(before).Any(pair => pair.First < pair.Second + 2))
            await Task.Delay(1, ct);
        return TimeSpan.FromMilliseconds(_longest.Max() / 1000.0);
    }

    /// <summary>Ends the writers.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks);
    }

    public ValueTask DisposeAsync() => new(StopAsync());

    /// <summary>What each place has been told is there, as of now.</summary>
    public long[] Snapshot() => (long[])_acknowledged.Clone();

    /// <summary>Looks for every acknowledged record in a raw image; what was sent later and never answered may be there too.</summary>
    public void Check(string rawImage) => Check(rawImage, _acknowledged);

    /// <summary>Looks for every record that had been acknowledged at some time; later ones may be there too.</summary>
    public void Check(string rawImage, long[] acknowledged)
    {
        using var file = File.OpenHandle(rawImage);
        var record = new byte[_recordBytes];
        List<string> lost = [];
        for (var slot = 0; slot < acknowledged.Length; slot++)
        {
            if (acknowledged[slot] == 0)
                continue;
            Assert.Equal(_recordBytes, RandomAccess.Read(file, record, (long)slot * _recordBytes));
            var found = BinaryPrimitives.ReadInt64LittleEndian(record);
            if (found < acknowledged[slot] || found > _sent[slot] || !record.AsSpan().SequenceEqual(Record(slot, found)))
                lost.Add($"slot {slot}: acknowledged {acknowledged[slot]}, found {found}");
        }

        Assert.True(lost.Count == 0, $"{lost.Count} records lost or torn: {string.Join("; ", lost.Take(5))}");
    }

    private void Run(int writer)
    {
        // Each writer has places of its own, so that nobody overwrites what another has been told is there.
        var random = _random[writer];
        var places = _acknowledged.Length / _random.Length;
        RawClient? client = null;
        while (!_stop.IsCancellationRequested)
        {
            var slot = (random.Next(places) * _random.Length) + writer;
            var number = Interlocked.Increment(ref _sequence);
            _sent[slot] = number;
            var record = Record(slot, number);
            var start = Stopwatch.GetTimestamp();
            if (!TryWrite(ref client, slot, record))
                break;
            _acknowledged[slot] = number;
            _longest[writer] = Math.Max(_longest[writer], (long)Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            _writes[writer]++;
            if (_pause > TimeSpan.Zero)
                _stop.Token.WaitHandle.WaitOne(_pause);
        }

        client?.Dispose();
    }

    /// <summary>Sends until answered, over as many connections as it takes; false when told to end before that.</summary>
    private bool TryWrite(ref RawClient? client, int slot, byte[] record)
    {
        var request = RawClient.Request(NbdCommand.Write, (ulong)slot * (ulong)_recordBytes, (ulong)_recordBytes, payload: record);
        while (!_stop.IsCancellationRequested)
        {
            client ??= TryConnect();
            if (client is not null && TryAsk(client, request))
                return true;
            client?.Dispose();
            client = null;
            _stop.Token.WaitHandle.WaitOne(1);
        }

        return false;
    }

    private RawClient? TryConnect()
    {
        RawClient? client = null;
        try
        {
            client = new RawClient(new UnixDomainSocketEndPoint(_socket));
            client.Go(_export, NbdHeaderForm.Simple);

            // A write that is held is waited for as long as it takes.
            client.Socket.ReceiveTimeout = client.Socket.SendTimeout = 0;
            return client;
        }
        catch (Exception e) when (e is SocketException or XunitException)
        {
            if (e is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                Interlocked.Increment(ref _refused);
            client?.Dispose();
            return null;
        }
    }

    /// <summary>Whether the request was carried out; not when it was refused or the connection broke.</summary>
    private bool TryAsk(RawClient client, byte[] request)
    {
        try
        {
            client.Send(request);
            var reply = new byte[NbdMagic.SimpleReplyLength];
            for (var at = 0; at < reply.Length;)
            {
                if (client.Socket.Receive(reply, at, reply.Length - at, SocketFlags.None) is > 0 and var more)
                    at += more;
                else
                    return false;
            }

            if (BinaryPrimitives.ReadUInt64BigEndian(reply) == (ulong)NbdMagic.SimpleReply << 32)
                return true;
            Interlocked.Increment(ref _errors);
        }
        catch (SocketException)
        {
            // The server has gone.
        }

        return false;
    }

    private byte[] Record(int slot, long number)
    {
        var record = new byte[_recordBytes];
        BinaryPrimitives.WriteInt64LittleEndian(record, number);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(8), slot);
        new Random((int)(number * 31) ^ slot).NextBytes(record.AsSpan(16));
        return record;
    }
}
