using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Storage;
using Xunit;

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
        _tasks = [.. Enumerable.Range(0, writers).Select(i => Task.Run(() => RunAsync(i)))];
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

    /// <summary>Looks for every acknowledged record in a raw image; what was sent later and never answered may be there too.</summary>
    public void Check(string rawImage)
    {
        using var file = File.OpenHandle(rawImage);
        var record = new byte[_recordBytes];
        List<string> lost = [];
        for (var slot = 0; slot < _acknowledged.Length; slot++)
        {
            if (_acknowledged[slot] == 0)
                continue;
            Assert.Equal(_recordBytes, RandomAccess.Read(file, record, (long)slot * _recordBytes));
            var found = BinaryPrimitives.ReadInt64LittleEndian(record);
            if (found < _acknowledged[slot] || found > _sent[slot] || !record.AsSpan().SequenceEqual(Record(slot, found)))
                lost.Add($"slot {slot}: acknowledged {_acknowledged[slot]}, found {found}");
        }

        Assert.True(lost.Count == 0, $"{lost.Count} records lost or torn: {string.Join("; ", lost.Take(5))}");
    }

    private async Task RunAsync(int writer)
    {
        // Each writer has places of its own, so that nobody overwrites what another has been told is there.
        var random = _random[writer];
        var places = _acknowledged.Length / _random.Length;
        NbdDevice? device = null;
        while (!_stop.IsCancellationRequested)
        {
            var slot = (random.Next(places) * _random.Length) + writer;
            var number = Interlocked.Increment(ref _sequence);
            _sent[slot] = number;
            var start = Stopwatch.GetTimestamp();
            device = await WriteAsync(device, slot, Record(slot, number));
            if (device is null)
                return;
            _acknowledged[slot] = number;
            _longest[writer] = Math.Max(_longest[writer], (long)Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            _writes[writer]++;
            if (_pause > TimeSpan.Zero)
                await Task.Delay(_pause);
        }

        await device!.DisposeAsync();
    }

    /// <summary>Sends until answered, over as many connections as it takes; null when told to end before that.</summary>
    private async Task<NbdDevice?> WriteAsync(NbdDevice? device, int slot, byte[] record)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                device ??= await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(_socket), _export, _stop.Token);
                await device.WriteAsync((long)slot * _recordBytes, record, WriteFlags.None, CancellationToken.None);
                return device;
            }
            catch (Exception e) when (e is StorageException or OperationCanceledException or SocketException)
            {
                if (device is not null && e is StorageException && !e.Message.Contains("closed the connection", StringComparison.Ordinal))
                    Interlocked.Increment(ref _errors);
                if (e.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                    Interlocked.Increment(ref _refused);
                if (device is not null)
                    await device.DisposeAsync();
                device = null;
                await Task.Delay(1);
            }
        }

        return null;
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
