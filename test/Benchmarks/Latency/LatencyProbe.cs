using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Godwit.Benchmarks.Latency;

/// <summary>Reads 4 KiB at random places, one request at a time, and remembers how long each took. Allocates nothing on its way: a pause of
/// this process must not count as the server's.</summary>
internal sealed class LatencyProbe : IDisposable
{
    private const int Length = 4096;
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
    private readonly byte[] _request = new byte[28];
    private readonly byte[] _reply = new byte[16 + Length];
    private readonly long _blocks;
    private ulong _random = 88172645463325252;

    /// <summary>Connects and goes into transmission with simple replies.</summary>
    public LatencyProbe(string socket, string export)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(socket));
        Receive(18);
        Span<byte> hello = stackalloc byte[4 + 16 + 64];
        BinaryPrimitives.WriteUInt32BigEndian(hello, 3);
        "IHAVEOPT"u8.CopyTo(hello[4..]);
        BinaryPrimitives.WriteUInt32BigEndian(hello[12..], 1);
        BinaryPrimitives.WriteUInt32BigEndian(hello[16..], (uint)export.Length);
        Encoding.ASCII.GetBytes(export, hello[20..]);
        Send(hello[..(20 + export.Length)]);
        Receive(10);
        _blocks = BinaryPrimitives.ReadInt64BigEndian(_reply) / Length;
        BinaryPrimitives.WriteUInt32BigEndian(_request, 0x25609513);
        BinaryPrimitives.WriteUInt32BigEndian(_request.AsSpan(24), Length);
    }

    /// <summary>Asks until the time is over.</summary>
    public void Run(TimeSpan duration, LatencyCounts counts)
    {
        var end = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        for (var begun = Stopwatch.GetTimestamp(); begun < end;)
        {
            _random ^= _random << 13;
            _random ^= _random >> 7;
            _random ^= _random << 17;
            BinaryPrimitives.WriteInt64BigEndian(_request.AsSpan(16), (long)(_random % (ulong)_blocks) * Length);
            Send(_request);
            Receive(16 + Length);
            if (BinaryPrimitives.ReadUInt64BigEndian(_reply) != 0x67446698_00000000)
                throw new InvalidDataException("a read was answered with an error");
            var ended = Stopwatch.GetTimestamp();
            counts.Add(ended - begun);
            begun = ended;
        }
    }

    public void Dispose() => _socket.Dispose();

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[_socket.Send(bytes)..];
    }

    private void Receive(int count)
    {
        for (var got = 0; got < count;)
        {
            var more = _socket.Receive(_reply.AsSpan(got, count - got));
            got += more > 0 ? more : throw new InvalidDataException("the server hung up");
        }
    }
}
