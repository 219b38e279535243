using System.Numerics;

namespace Godwit.Storage.Bitmaps;

/// <summary>One bit per granule of a device: set while the two sides of a mirror may differ there, or once something was written there
/// since a point in time.</summary>
/// <remarks>
/// <para>A mirror's new bitmap says that everything differs. That is always safe, so a crash between creating the bitmap and
/// looking at the disks cannot make a mirror believe that it is done. One of changes starts with nothing marked.</para>
/// <para>The variant with a file maps it into memory: what is set survives <c>kill -9</c> of this process because the
/// kernel has it, and costs no system call. It proves nothing after a power cut; the owner compares boot ids.</para>
/// <para>All members may be called from any thread, each change of a word is atomic. Who sets and clears the same granule
/// holds the mirror's range lock on it; bits that are only ever set need none.</para>
/// </remarks>
public sealed unsafe class DirtyBitmap : IDisposable
{
    private const int SmallestGranularity = 4096;
    private const int LargestGranularity = 1 << 20;
    private const int WantedBits = 1 << 22;

    private readonly BitmapMemory _memory;
    private readonly ulong* _words;
    private readonly int _shift;
    private readonly long _bits;
    private long _dirtyBits;

    private DirtyBitmap(BitmapMemory memory, long deviceLength, int granularity)
    {
        _memory = memory;
        _words = memory.Words;
        _shift = BitOperations.Log2((uint)granularity);
        _bits = CountBits(deviceLength, granularity);
        Length = deviceLength;
        Granularity = granularity;
        for (long word = 0; word < WordCount(_bits); word++)
            _dirtyBits += BitOperations.PopCount(_words[word]);
    }

    /// <summary>Size of the device in bytes.</summary>
    public long Length { get; }

    /// <summary>Bytes one bit stands for: a power of two from 4 KiB to 1 MiB, chosen by the device's size.</summary>
    public int Granularity { get; }

    /// <summary>Bytes that may differ, in whole granules.</summary>
    public long DirtyBytes
    {
        get
        {
            var bytes = Volatile.Read(ref _dirtyBits) << _shift;
            var tail = (_bits << _shift) - Length;
            return tail > 0 && bytes > 0 && IsDirty(Length - 1) ? bytes - tail : bytes;
        }
    }

    /// <summary>The granularity a device of this size gets: the smallest that needs no more than four million bits.</summary>
    /// <param name="deviceLength">Size of the device in bytes.</param>
    public static int GranularityFor(long deviceLength)
    {
        var granularity = SmallestGranularity;
        while (granularity < LargestGranularity && CountBits(deviceLength, granularity) > WantedBits)
            granularity <<= 1;
        return granularity;
    }

    /// <summary>Makes a bitmap without a file. It dies with the process.</summary>
    /// <param name="deviceLength">Size of the device in bytes.</param>
    /// <param name="dirty">Everything is marked at first, or nothing.</param>
    public static DirtyBitmap InMemory(long deviceLength, bool dirty = true)
    {
        var granularity = GranularityFor(deviceLength);
        var bits = CountBits(deviceLength, granularity);
        var memory = BitmapMemory.Allocate(WordCount(bits));
        if (dirty)
            FillOnes(memory.Span, bits);
        return new DirtyBitmap(memory, deviceLength, granularity);
    }

    /// <summary>Makes a bitmap in a new file that only its owner may read.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="deviceLength">Size of the device in bytes.</param>
    /// <param name="dirty">Everything is marked at first, or nothing.</param>
    /// <exception cref="StorageException">The file exists, or the folder refuses it or has no room for it.</exception>
    public static DirtyBitmap Create(string path, long deviceLength, bool dirty = true)
    {
        var granularity = GranularityFor(deviceLength);
        var bits = CountBits(deviceLength, granularity);
        var words = new ulong[WordCount(bits)];
        if (dirty)
            FillOnes(words, bits);
        BitmapFile.Create(path, deviceLength, granularity, words);
        return new DirtyBitmap(BitmapMemory.Map(path, BitmapFile.HeaderLength, words.Length), deviceLength, granularity);
    }

    /// <summary>Opens the bitmap of an earlier process.</summary>
    /// <param name="path">The file.</param>
    /// <param name="deviceLength">Size of the device in bytes; must be what the bitmap was made for.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: not a bitmap, torn, cut, or made for another
    /// device; or the file cannot be opened. Nothing is changed then.</exception>
    public static DirtyBitmap Open(string path, long deviceLength)
    {
        var granularity = GranularityFor(deviceLength);
        var words = WordCount(CountBits(deviceLength, granularity));
        BitmapFile.Check(path, deviceLength, granularity, words);
        return new DirtyBitmap(BitmapMemory.Map(path, BitmapFile.HeaderLength, words), deviceLength, granularity);
    }

    /// <summary>Marks every granule a range touches.</summary>
    /// <param name="offset">First byte, any alignment.</param>
    /// <param name="length">Bytes, any alignment; inside the device.</param>
    public void Set(long offset, long length) => Change(offset, length, dirty: true);

    /// <summary>Clears every granule a range touches: the caller knows that all of each is equal on both sides.</summary>
    /// <param name="offset">First byte, any alignment.</param>
    /// <param name="length">Bytes, any alignment; inside the device.</param>
    public void Clear(long offset, long length) => Change(offset, length, dirty: false);

    /// <summary>Tells whether the granule that holds a byte is marked.</summary>
    /// <param name="offset">A byte of the device.</param>
    public bool IsDirty(long offset)
    {
        var bit = offset >> _shift;
        return (Volatile.Read(ref _words[bit >> 6]) & (1UL << (int)(bit & 63))) != 0;
    }

    /// <summary>Finds the end of the run of equally marked granules that starts at a byte.</summary>
    /// <param name="offset">Where the run starts, any alignment.</param>
    /// <param name="end">The answer is never above this.</param>
    /// <param name="dirty">Whether the run is marked.</param>
    /// <returns>The byte after the run.</returns>
    public long RunEnd(long offset, long end, out bool dirty)
    {
        dirty = IsDirty(offset);
        var bit = FindBit((offset >> _shift) + 1, CountBits(end, Granularity), !dirty);
        return Math.Min(end, bit << _shift);
    }

    /// <summary>Finds the next run of marked granules.</summary>
    /// <param name="from">Where to look first; rounded down to its granule.</param>
    /// <param name="maxLength">The run is cut to this many bytes; a multiple of the granularity.</param>
    /// <returns>The run, or an empty range when nothing is marked from there to the end of the device.</returns>
    public DirtyRange NextDirty(long from, long maxLength = long.MaxValue)
    {
        var first = FindBit(from >> _shift, _bits, dirty: true);
        if (first >= _bits)
            return new DirtyRange(Length, 0);
        var limit = Math.Min(_bits, first + Math.Max(1, maxLength >> _shift));
        var last = FindBit(first + 1, limit, dirty: false);
        return new DirtyRange(first << _shift, Math.Min(last << _shift, Length) - (first << _shift));
    }

    /// <summary>Makes what is marked survive a power cut once the file has been flushed too; marks set meanwhile may or may not.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.IoFailed"/>: the medium refused.</exception>
    public void Flush() => _memory.Flush();

    /// <summary>Lets go of the memory; the file stays.</summary>
    public void Dispose() => _memory.Dispose();

    private static long CountBits(long length, int granularity) => (length + granularity - 1) / granularity;

    private static int WordCount(long bits) => checked((int)((bits + 63) / 64));

    private static void FillOnes(Span<ulong> words, long bits)
    {
        words.Fill(ulong.MaxValue);
        if ((bits & 63) != 0)
            words[^1] = (1UL << (int)(bits & 63)) - 1;
    }

    private void Change(long offset, long length, bool dirty)
    {
        if (length <= 0)
            return;
        var first = offset >> _shift;
        var end = ((offset + length - 1) >> _shift) + 1;
        while (first < end)
        {
            var low = (int)(first & 63);
            var count = (int)Math.Min(64 - low, end - first);
            var mask = (count == 64 ? ulong.MaxValue : (1UL << count) - 1) << low;
            ChangeWord(ref _words[first >> 6], mask, dirty);
            first += count;
        }
    }

    private void ChangeWord(ref ulong word, ulong mask, bool dirty)
    {
        // A guest that writes the same place again finds the bits set: no atomic operation on a shared line then.
        var seen = Volatile.Read(ref word);
        if ((dirty ? ~seen & mask : seen & mask) == 0)
            return;
        var before = dirty ? Interlocked.Or(ref word, mask) : Interlocked.And(ref word, ~mask);
        var changed = BitOperations.PopCount((dirty ? ~before : before) & mask);
        if (changed != 0)
            Interlocked.Add(ref _dirtyBits, dirty ? changed : -changed);
    }

    /// <summary>The first bit at or after one that is (not) set, or <paramref name="end"/>. Skips equal words.</summary>
    private long FindBit(long bit, long end, bool dirty)
    {
        var flip = dirty ? 0 : ulong.MaxValue;
        while (bit < end)
        {
            var word = (Volatile.Read(ref _words[bit >> 6]) ^ flip) >> (int)(bit & 63);
            if (word != 0)
                return Math.Min(end, bit + BitOperations.TrailingZeroCount(word));
            bit = (bit | 63) + 1;
        }

        return end;
    }
}
