using Godwit.Nbd.Interop;

namespace Godwit.Nbd.Server;

/// <summary>Replies on their way out: collected in one buffer and sent together. Used by the connection's thread only.</summary>
/// <remarks>A range a device has not filled yet is lent and stays where it is; what comes after it is collected behind it, so that many
/// small reads that wait for the disk share one buffer.</remarks>
internal sealed class OutputBuffer
{
    /// <summary>Collected bytes from which on sending pays more than collecting: the client can start on them, and they
    /// are still in the cache.</summary>
    private const int SendFrom = 256 << 10;

    /// <summary>Bytes that are cheaper to copy than to send on their own.</summary>
    private const int CopyUpTo = 32 << 10;

    private readonly Wire _wire;
    private readonly BufferPool _pool;

    // What is collected starts here; before it are ranges that devices still work in.
    private int _start;

    public OutputBuffer(Wire wire, BufferPool pool)
    {
        _wire = wire;
        _pool = pool;
        Buffer = pool.Rent(BufferPool.UsualSize);
    }

    /// <summary>The memory replies are collected in.</summary>
    public PinnedBuffer Buffer { get; private set; }

    /// <summary>Where in <see cref="Buffer"/> the next reply goes.</summary>
    public int Used { get; private set; }

    /// <summary>The peer is gone: what is collected is dropped.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Makes sure of room at <see cref="Used"/>, sending what is collected when there is none.</summary>
    public void MakeRoom(int count)
    {
        if (Buffer.Size - Used >= count)
            return;
        Flush();
        if (Buffer.Size - Used >= count)
            return;

        // With ranges lent, whoever takes back the last one returns the buffer.
        if (Buffer.Users == 0)
            _pool.Return(Buffer);
        Buffer = _pool.Rent(Math.Max(count, BufferPool.UsualSize));
        Used = _start = 0;
    }

    /// <summary>Room for a reply of a known size, counted as written.</summary>
    public Span<byte> Append(int count)
    {
        MakeRoom(count);
        var span = Buffer.Span(Used, count);
        Used += count;
        return span;
    }

    /// <summary>Counts bytes written at <see cref="Used"/>; sends when enough have come together.</summary>
    public void Commit(int count)
    {
        Used += count;
        if (Used - _start >= SendFrom)
            Flush();
    }

    /// <summary>Sends what is collected.</summary>
    public void Flush()
    {
        SendCollected(more: false);
        if (Buffer.Users > 0)
            return;
        Used = _start = 0;
        if (Buffer.Size != BufferPool.UsualSize)
            Buffer = _pool.Rent(BufferPool.UsualSize);
    }

    /// <summary>Sends what is collected, and data from a pipe behind it.</summary>
    public void Send(PayloadPipe pipe, int count)
    {
        SendCollected(more: true);
        if (!IsBroken)
            IsBroken = !_wire.Send(pipe, count);

        // What nobody takes any more is not to take the room of what comes next.
        if (IsBroken)
            pipe.Empty();
        Flush();
    }

    /// <summary>Sends a finished reply that stands in other memory, or in a range that was lent.</summary>
    public void Send(PinnedBuffer buffer, int offset, int count)
    {
        if (count <= CopyUpTo)
        {
            // Replies that become ready together go out together.
            buffer.Span(offset, count).CopyTo(Append(count));
            return;
        }

        Flush();
        if (!IsBroken)
            IsBroken = !_wire.Send(buffer, offset, count);
    }

    /// <summary>Lends the next bytes, where a device still works, and sends what is collected before them.</summary>
    public PinnedBuffer Lend(int count)
    {
        SendCollected(more: false);
        Used = _start = Used + count;
        return Buffer;
    }

    private void SendCollected(bool more)
    {
        if (Used > _start && !IsBroken)
            IsBroken = !_wire.Send(Buffer, _start, Used - _start, more);
        _start = Used;
    }
}
