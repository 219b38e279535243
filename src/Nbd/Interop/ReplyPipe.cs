namespace Godwit.Nbd.Interop;

/// <summary>A pipe through which the data of large reads goes from a file to the socket without a copy. Used by one thread.</summary>
/// <remarks>Opened when it is first needed: most connections of a worker that is idle never read much at once.</remarks>
internal sealed unsafe class ReplyPipe : IDisposable
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

    /// <summary>The end a device writes to.</summary>
    public int In => _in;

    /// <summary>The end the socket is filled from.</summary>
    public int Out => _out;

    /// <summary>Whether a range may be moved through it.</summary>
    public bool Takes(int length) => length is >= MinMoved and <= MaxMoved && (_in >= 0 || TryOpen()) && length <= _room;

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
