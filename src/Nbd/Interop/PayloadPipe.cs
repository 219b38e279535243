namespace Godwit.Nbd.Interop;

/// <summary>A pipe through which large payloads go between a file and the socket without a copy. Used by one thread; empty between two of them.</summary>
/// <remarks>Opened when it is first needed: most connections of a worker that is idle never read much at once.</remarks>
internal sealed unsafe class PayloadPipe : IDisposable
{
    // Twice what is moved at once: a range that does not begin at a page takes a page more.
    private const int WantedSize = 2 * MaxMoved;
    private const int PageSize = 4096;

    /// <summary>From so many bytes on, two system calls more cost less than the copies they save.</summary>
    public const int MinMoved = 64 << 10;

    /// <summary>Most bytes moved at once.</summary>
    public const int MaxMoved = 256 << 10;

    private int _in = -1;
    private int _out = -1;
    private int _room;
    private bool _failed;

    /// <summary>The end that is filled: by a device, or from the socket.</summary>
    public int In => _in;

    /// <summary>The other end.</summary>
    public int Out => _out;

    /// <summary>Whether a range may be moved through it.</summary>
    public bool Takes(int length) => length is >= MinMoved and <= MaxMoved && (_in >= 0 || TryOpen()) && length <= _room;

    /// <summary>Takes bytes that are in it into memory.</summary>
    /// <returns>False when they could not be had.</returns>
    public bool Read(PinnedBuffer buffer, int offset, int count)
    {
        while (count > 0)
        {
            var read = SocketCalls.Read(_out, buffer.At(offset), (nuint)count);
            if (read <= 0)
                return false;
            offset += (int)read;
            count -= (int)read;
        }

        return true;
    }

    /// <summary>Throws away what is in it.</summary>
    public void Empty()
    {
        Close();
        _in = _out = -1;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Close();
        _failed = true;
    }

    private bool TryOpen()
    {
        var ends = stackalloc int[2];
        if (_failed || SocketCalls.Pipe(ends, SocketCalls.PipeFlags) < 0)
            return false;
        (_out, _in) = (ends[0], ends[1]);

        // A user has a limit for all pipes together; a small one serves small reads.
        _ = SocketCalls.Control(_in, SocketCalls.SetPipeSize, WantedSize);
        _room = SocketCalls.Control(_in, SocketCalls.GetPipeSize, 0) - PageSize;
        return true;
    }

    private void Close()
    {
        if (_in < 0)
            return;
        _ = SocketCalls.Close(_in);
        _ = SocketCalls.Close(_out);
        _in = _out = -1;
    }
}
