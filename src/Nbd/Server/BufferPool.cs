using Godwit.Nbd.Interop;

namespace Godwit.Nbd.Server;

/// <summary>Buffers of one connection, kept so that the steady state allocates nothing. Used by one thread.</summary>
internal sealed class BufferPool
{
    /// <summary>Size of the usual buffer: a 1 MiB request with its header, and room for small ones beside it. Only the
    /// pages that are touched cost memory.</summary>
    public const int UsualSize = (1 << 20) + (64 << 10);

    private const int Kept = 4;
    private readonly PinnedBuffer?[] _spare = new PinnedBuffer?[Kept];
    private int _count;

    /// <summary>Hands out a buffer; the larger ones are made anew each time.</summary>
    /// <param name="size">Bytes needed.</param>
    public PinnedBuffer Rent(int size)
    {
        if (size > UsualSize)
            return new PinnedBuffer(size);
        if (_count == 0)
            return new PinnedBuffer(UsualSize);
        var buffer = _spare[--_count]!;
        _spare[_count] = null;
        return buffer;
    }

    /// <summary>Takes a buffer back that nobody uses any more.</summary>
    public void Return(PinnedBuffer buffer)
    {
        if (buffer.Size == UsualSize && _count < Kept)
            _spare[_count++] = buffer;
    }
}
