using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Which sectors of each block are its own: read when needed, kept within a bound, written through.</summary>
/// <remarks>
/// VHD specification 1.0, "Data Block": one bit per sector, the highest bit of the first byte for the first sector. A clear
/// bit means zeroes in a dynamic disk and the parent's sector in a differencing one. A block all of whose bits are set
/// costs one byte here. An array handed out never changes: a change makes a new one. Any thread may read; while a block
/// has its place, its bits only ever get set.
/// </remarks>
internal sealed class VhdBitmaps : IDisposable
{
    private const long MaxCachedBytes = 16 << 20;
    private readonly IStorageFile _file;
    private readonly int _maxCached;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly Dictionary<long, byte[]> _partial = [];
    private VhdBlocks _blocks;
    private bool[] _full;
    private long _version;

    public VhdBitmaps(IStorageFile file, VhdBlocks blocks)
    {
        _file = file;
        _blocks = blocks;
        _full = new bool[blocks.Count];
        _maxCached = (int)Math.Max(64, MaxCachedBytes / blocks.BitmapLength);
    }

    /// <summary>Whether a range within a block is known to be the block's own. Allocates nothing and reads nothing.</summary>
    public bool Covers(long block, long inBlock, long length)
    {
        if (Volatile.Read(ref Volatile.Read(ref _full)[block]))
            return true;
        lock (_gate)
            return _partial.TryGetValue(block, out var bits) && RunOf(bits, inBlock, inBlock + length) is (true, var end) && end == inBlock + length;
    }

    /// <summary>A block's bits, or null when all are set.</summary>
    public async ValueTask<byte[]?> GetAsync(long block, long place, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref Volatile.Read(ref _full)[block]))
            return null;
        long version;
        lock (_gate)
        {
            if (_partial.TryGetValue(block, out var known))
                return known;
            version = _version;
        }

        var bits = new byte[_blocks.BitmapLength];
        await _file.ReadAsync(place, bits, cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            // Somebody has written a bitmap meanwhile: what was read may be the one before, so it is used but not kept.
            if (_version == version)
                Keep(block, bits);
        }

        return IsFull(block, bits) ? null : bits;
    }

    /// <summary>Writes the bitmap of a place that is about to become a block's; its old bits are all clear.</summary>
    /// <param name="block">The block; nobody else changes it.</param>
    /// <param name="place">Where it will be.</param>
    /// <param name="inBlock">First byte that is the block's own.</param>
    /// <param name="length">Bytes that are.</param>
    public async ValueTask CreateAsync(long block, long place, long inBlock, long length)
    {
        var bits = new byte[_blocks.BitmapLength];
        if (inBlock == 0 && length == _blocks.Size)
            bits.AsSpan().Fill(0xff);
        else
            Set(bits, inBlock, inBlock + length);
        await WriteAsync(place, bits, inBlock, inBlock + length).ConfigureAwait(false);
        Publish(block, bits);
    }

    /// <summary>Makes a range within a block the block's own; its bytes are there by now, and stable where that matters.</summary>
    public async ValueTask SetAsync(long block, long place, long inBlock, long length)
    {
        // One at a time: requests for different sectors share the bitmap's bytes.
        await _changing.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (await GetAsync(block, place, CancellationToken.None).ConfigureAwait(false) is not byte[] current)
                return;
            var bits = (byte[])current.Clone();
            Set(bits, inBlock, inBlock + length);
            await WriteAsync(place, bits, inBlock, inBlock + length).ConfigureAwait(false);
            Publish(block, bits);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Forgets a block that lost its place, or whose used length has changed.</summary>
    public void Forget(long block)
    {
        lock (_gate)
        {
            _version++;
            _partial.Remove(block);
            Volatile.Write(ref _full[block], false);
        }
    }

    /// <summary>Makes room for a larger disk; nobody writes meanwhile.</summary>
    public void Grow(VhdBlocks blocks)
    {
        lock (_gate)
        {
            _version++;
            var full = new bool[blocks.Count];
            _full.CopyTo(full, 0);
            full[_blocks.Count - 1] = false;
            _partial.Remove(_blocks.Count - 1);
            Volatile.Write(ref _full, full);
            Volatile.Write(ref _blocks, blocks);
        }
    }

    /// <summary>The run of equal bits that starts there: what it is, and where it ends.</summary>
    /// <param name="bits">The bitmap, or null when all bits are set.</param>
    /// <param name="from">First byte within the block.</param>
    /// <param name="to">Where to stop.</param>
    public static (bool Own, long End) RunOf(byte[]? bits, long from, long to)
    {
        if (bits is null)
            return (true, to);
        var first = from / VhdFormat.Sector;
        var last = to / VhdFormat.Sector;
        var own = IsSet(bits, first);
        var same = own ? (byte)0xff : (byte)0;
        var at = first + 1;
        while (at < last)
        {
            // Whole bytes at a time where they are all the same.
            if (at % 8 == 0 && last - at >= 8)
            {
                var whole = bits.AsSpan((int)(at / 8), (int)((last - at) / 8)).IndexOfAnyExcept(same);
                at += (whole < 0 ? (last - at) / 8 : whole) * 8;
                if (at >= last)
                    break;
            }

            if (IsSet(bits, at) != own)
                break;
            at++;
        }

        return (own, Math.Min(at, last) * VhdFormat.Sector);
    }

    public void Dispose() => _changing.Dispose();

    private static bool IsSet(byte[] bits, long sector) => (bits[sector / 8] & (0x80 >> (int)(sector % 8))) != 0;

    private static void Set(byte[] bits, long from, long to)
    {
        for (var sector = from / VhdFormat.Sector; sector < to / VhdFormat.Sector; sector++)
            bits[sector / 8] |= (byte)(0x80 >> (int)(sector % 8));
    }

    private bool IsFull(long block, byte[] bits) =>
        RunOf(bits, 0, _blocks.UsedLength(block)) is (true, var end) && end == _blocks.UsedLength(block);

    /// <summary>Writes the sectors of the bitmap that hold the bits of a range.</summary>
    private ValueTask WriteAsync(long place, byte[] bits, long from, long to)
    {
        var first = from / VhdFormat.Sector / 8 / VhdFormat.Sector * VhdFormat.Sector;
        var last = VhdFormat.AlignUp(((to / VhdFormat.Sector) + 7) / 8, VhdFormat.Sector);
        return _file.WriteAsync(place + first, bits.AsMemory((int)first, (int)(last - first)), CancellationToken.None);
    }

    private void Publish(long block, byte[] bits)
    {
        lock (_gate)
        {
            _version++;
            Keep(block, bits);
        }
    }

    private void Keep(long block, byte[] bits)
    {
        if (IsFull(block, bits))
        {
            _partial.Remove(block);
            Volatile.Write(ref _full[block], true);
            return;
        }

        // The file has them all, so any may be dropped.
        if (_partial.Count >= _maxCached && !_partial.ContainsKey(block))
            _partial.Clear();
        _partial[block] = bits;
    }
}
