using Godwit.Nbd.Interop;

namespace Godwit.Nbd.Server;

/// <summary>Replies on their way out: collected in one buffer and sent together. Used by the connection's thread only.</summary>
internal sealed class OutputBuffer
{
    /// <summary>Collected bytes from which on sending pays more than collecting: the client can start on them, and they
    /// are still in the cache.</summary>
    private const int SendFrom = 256 << 10;

    private readonly Wire _wire;
    private readonly BufferPool _pool;

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
        if (Buffer.Size >= count)
            return;
        _pool.Return(Buffer);
        Buffer = _pool.Rent(count);
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
        if (Used >= SendFrom)
            Flush();
    }

    /// <summary>Sends what is collected.</summary>
    public void Flush()
    {
        if (Used > 0 && !IsBroken)
            IsBroken = !_wire.Send(Buffer, 0, Used);
        Used = 0;
        if (Buffer.Size == BufferPool.UsualSize)
            return;
        Buffer = _pool.Rent(BufferPool.UsualSize);
    }

    /// <summary>Sends what is collected, and data from a pipe behind it.</summary>
    public void Send(ReplyPipe pipe, int count)
    {
        if (!IsBroken)
            IsBroken = !_wire.Send(Buffer, 0, Used, more: true) || !_wire.Send(pipe, count);
        Used = 0;
    }

    /// <summary>Sends a finished reply that stands in other memory.</summary>
    public void Send(PinnedBuffer buffer, int offset, int count)
    {
        Flush();
        if (!IsBroken)
            IsBroken = !_wire.Send(buffer, offset, count);
    }

    /// <summary>Sends what is collected and leaves the memory, where a device still works at <see cref="Used"/>, to the caller.</summary>
    public PinnedBuffer Lend()
    {
        var lent = Buffer;
        if (Used > 0 && !IsBroken)
            IsBroken = !_wire.Send(lent, 0, Used);
        Used = 0;
        Buffer = _pool.Rent(BufferPool.UsualSize);
        return lent;
    }
}
