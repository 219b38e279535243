using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Mirror;

/// <summary>
/// What a mirror's target has taken but may still forget, because no flush has covered it: the target is another host's, and that host may
/// lose its power while this process lives on.
/// </summary>
/// <remarks>
/// <para>Two bitmaps in one: what came since the last flush began, and what the flush under way is to cover. Both survive the death of this
/// process where they have a file, as <see cref="DirtyBitmap"/> does.</para>
/// <para>Any thread may call anything. A range is added after the target has completed it and before it is unmarked, under the mirror's range
/// lock; so whoever holds the lock of the whole device sees everything.</para>
/// </remarks>
public sealed class UnflushedRanges : IDisposable
{
    private readonly DirtyBitmap _bits;
    private readonly long _length;
    private readonly long _second;
    private int _flushing;

    private UnflushedRanges(DirtyBitmap bits, long deviceLength)
    {
        _bits = bits;
        _length = deviceLength;
        _second = bits.Length / 2;
    }

    /// <summary>Starts without a file, and with nothing to forget.</summary>
    /// <param name="deviceLength">Size of the device in bytes.</param>
    public static UnflushedRanges InMemory(long deviceLength) => Empty(DirtyBitmap.InMemory(Doubled(deviceLength)), deviceLength);

    /// <summary>Starts with a new file that only its owner may read, and with nothing to forget.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="deviceLength">Size of the device in bytes.</param>
    /// <exception cref="StorageException">The file exists, or the folder refuses it or has no room for it.</exception>
    public static UnflushedRanges Create(string path, long deviceLength) => Empty(DirtyBitmap.Create(path, Doubled(deviceLength)), deviceLength);

    /// <summary>Opens the file of an earlier process.</summary>
    /// <param name="path">The file.</param>
    /// <param name="deviceLength">Size of the device in bytes; must be what the file was made for.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: torn, cut, or made for another device; or the
    /// file cannot be opened.</exception>
    public static UnflushedRanges Open(string path, long deviceLength) => new(DirtyBitmap.Open(path, Doubled(deviceLength)), deviceLength);

    /// <summary>The target has completed a change.</summary>
    /// <param name="offset">First byte, any alignment.</param>
    /// <param name="length">Bytes, any alignment; inside the device.</param>
    public void Add(long offset, long length) => _bits.Set(offset, length);

    /// <summary>A flush is about to be sent.</summary>
    /// <returns>This flush may call <see cref="EndFlush"/>. False while another one is under way: what that one covers is its own.</returns>
    public bool TryBeginFlush()
    {
        if (Interlocked.CompareExchange(ref _flushing, 1, 0) != 0)
            return false;

        // Set before cleared, so that a death in between forgets nothing. A range added meanwhile had been completed: the flush covers it.
        for (var run = _bits.NextDirty(0); !run.IsEmpty && run.Offset < _second; run = _bits.NextDirty(run.Offset))
        {
            var length = Math.Min(run.End, _second) - run.Offset;
            _bits.Set(_second + run.Offset, length);
            _bits.Clear(run.Offset, length);
        }

        return true;
    }

    /// <summary>The flush of <see cref="TryBeginFlush"/> has ended.</summary>
    /// <param name="flushed">The target has flushed; when not, a later flush covers what this one was to.</param>
    public void EndFlush(bool flushed)
    {
        if (flushed)
            _bits.Clear(_second, _bits.Length - _second);
        Volatile.Write(ref _flushing, 0);
    }

    /// <summary>Marks everything the target may have forgotten.</summary>
    /// <param name="bitmap">Where to mark it.</param>
    public void MarkIn(DirtyBitmap bitmap)
    {
        for (var run = _bits.NextDirty(0); !run.IsEmpty; run = _bits.NextDirty(run.End))
        {
            MarkPart(bitmap, run.Offset, Math.Min(run.End, _second));
            MarkPart(bitmap, Math.Max(run.Offset, _second) - _second, run.End - _second);
        }
    }

    /// <summary>Lets go of the memory; the file stays.</summary>
    public void Dispose() => _bits.Dispose();

    private void MarkPart(DirtyBitmap bitmap, long from, long end)
    {
        end = Math.Min(end, _length);
        if (from < end)
            bitmap.Set(from, end - from);
    }

    /// <summary>Both halves end on whole granules, whichever size those have.</summary>
    private static long Doubled(long deviceLength)
    {
        const long LargestGranule = 1 << 20;
        return (deviceLength + LargestGranule - 1) / LargestGranule * LargestGranule * 2;
    }

    private static UnflushedRanges Empty(DirtyBitmap bits, long deviceLength)
    {
        bits.Clear(0, bits.Length);
        return new UnflushedRanges(bits, deviceLength);
    }
}
