using Godwit.Nbd.Interop;

namespace Godwit.Nbd.Server;

/// <summary>
/// What has been received and not been dealt with. Requests are parsed and their payloads handed to the device where they
/// arrived; memory a device still works on is left alone and replaced.
/// </summary>
internal sealed class InputBuffer
{
    private readonly Wire _wire;
    private readonly BufferPool _pool;
    private int _start;
    private int _end;

    public InputBuffer(Wire wire, BufferPool pool)
    {
        _wire = wire;
        _pool = pool;
        Buffer = pool.Rent(BufferPool.UsualSize);
    }

    /// <summary>The memory the bytes are in now.</summary>
    public PinnedBuffer Buffer { get; private set; }

    /// <summary>Where in <see cref="Buffer"/> the first byte not dealt with is.</summary>
    public int Start => _start;

    /// <summary>Bytes there.</summary>
    public int Count => _end - _start;

    /// <summary>The bytes at the start.</summary>
    public ReadOnlySpan<byte> Peek(int count) => Buffer.Span(_start, count);

    /// <summary>Marks bytes as dealt with.</summary>
    public void Consume(int count) => _start += count;

    /// <summary>Receives once.</summary>
    /// <param name="needed">Bytes the message at the start has in all, or at least; makes room for them.</param>
    /// <param name="noMore">Leave what comes behind them in the socket.</param>
    /// <returns>False when the peer has hung up.</returns>
    public bool Receive(int needed, bool noMore = false)
    {
        MakeRoom(needed);

        // The rest of a large payload is received exactly, so that the buffer runs empty with it and the next one
        // starts at the front again: nothing is ever moved, and the memory in use stays small enough for the cache.
        var missing = needed - Count;
        var count = noMore || missing >= PayloadPipe.MinMoved ? missing : Buffer.Size - _end;
        var received = _wire.Receive(Buffer, _end, count);
        _end += received;
        return received > 0;
    }

    /// <summary>Takes what has got into a pipe.</summary>
    /// <param name="pipe">The pipe.</param>
    /// <param name="count">Bytes in it.</param>
    /// <param name="needed">Bytes the message at the start has in all; makes room for them.</param>
    /// <returns>False when they could not be had.</returns>
    public bool TakeFrom(PayloadPipe pipe, int count, int needed)
    {
        MakeRoom(needed);
        if (!pipe.Read(Buffer, _end, count))
            return false;
        _end += count;
        return true;
    }

    /// <summary>Waits until so many bytes are there.</summary>
    /// <returns>False when the peer has hung up before.</returns>
    public bool Fill(int count)
    {
        while (Count < count)
        {
            if (!Receive(count))
                return false;
        }

        return true;
    }

    private void MakeRoom(int needed)
    {
        if (_start == _end && Buffer.Users == 0 && Buffer.Size == BufferPool.UsualSize)
            _start = _end = 0;
        else if (_start == _end && Buffer.Size != BufferPool.UsualSize)
            Replace(needed);
        if (Buffer.Size - _start >= needed && Buffer.Size > _end)
            return;
        if (Buffer.Users == 0 && needed <= Buffer.Size)
            MoveToFront();
        else
            Replace(needed);
    }

    private void MoveToFront()
    {
        Buffer.Span(_start, Count).CopyTo(Buffer.Span(0, Count));
        _end = Count;
        _start = 0;
    }

    private void Replace(int needed)
    {
        var next = _pool.Rent(Math.Max(needed, BufferPool.UsualSize));
        Buffer.Span(_start, Count).CopyTo(next.Span(0, Count));
        _end = Count;
        _start = 0;
        var old = Buffer;
        Buffer = next;
        if (old.Users == 0)
            _pool.Return(old);
    }
}
