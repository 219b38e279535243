using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Where each block is: the block allocation table, in memory and in the file.</summary>
/// <remarks>VHD specification 1.0, "Block Allocation Table": 32-bit sector numbers, all ones for a block without a place.
/// Any thread may read at any time without a lock; a block's entry is changed by whoever holds its range. An entry never
/// crosses a sector, so a power cut leaves the old one or the new one.</remarks>
internal sealed class VhdBlockTable
{
    private const uint Free = VhdTableEntries.Free;
    private readonly IStorageFile _file;
    private uint[] _entries;
    private long _unmapCount;

    private VhdBlockTable(IStorageFile file, long offset, uint[] entries)
    {
        _file = file;
        Offset = offset;
        _entries = entries;
    }

    /// <summary>Where in the file it is.</summary>
    public long Offset { get; }

    /// <summary>Blocks of the disk.</summary>
    public long Count => Volatile.Read(ref _entries).Length;

    /// <summary>Counts blocks that lost their place. A reader that sees the same number before and after reading a block's
    /// bytes knows that the place was the block's own all the time.</summary>
    public long UnmapCount => Volatile.Read(ref _unmapCount);

    /// <summary>Byte offset of a block's bitmap, or -1 when it has no place.</summary>
    public long this[long block] => Volatile.Read(ref Volatile.Read(ref _entries)[block]) is var sector && sector != Free ? (long)sector * VhdFormat.Sector : -1;

    /// <summary>Reads the entries of the disk's blocks.</summary>
    public static async ValueTask<VhdBlockTable> LoadAsync(IStorageFile file, VhdTableEntries from, CancellationToken cancellationToken)
    {
        var entries = new uint[from.Count];
        await VhdTableEntries.ReadAsync(file, from.Offset, entries, cancellationToken).ConfigureAwait(false);
        return new VhdBlockTable(file, from.Offset, entries);
    }

    /// <summary>The first block from <paramref name="block"/> on that has a place, or <paramref name="end"/>.</summary>
    public long NextPresent(long block, long end)
    {
        if (block >= end)
            return end;
        var found = Volatile.Read(ref _entries).AsSpan((int)block, (int)(end - block)).IndexOfAnyExcept(Free);
        return found < 0 ? end : block + found;
    }

    /// <summary>Blocks without a place.</summary>
    public long CountFree() => Volatile.Read(ref _entries).AsSpan().Count(Free);

    /// <summary>Gives a block its place, in the file and then in memory; the bytes and the bitmap are there by now.</summary>
    public async ValueTask SetAsync(long block, long place)
    {
        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)(place / VhdFormat.Sector));
        await _file.WriteAsync(EntryOffset(block), bytes, CancellationToken.None).ConfigureAwait(false);
        Volatile.Write(ref _entries[block], (uint)(place / VhdFormat.Sector));
    }

    /// <summary>Gives a block another place; the copy there is whole and stable.</summary>
    public async ValueTask MoveAsync(long block, long place)
    {
        await SetAsync(block, place).ConfigureAwait(false);
        Interlocked.Increment(ref _unmapCount);
    }

    /// <summary>Takes the places of neighbouring blocks away, in the file and then in memory.</summary>
    public async ValueTask ClearAsync(long first, long count)
    {
        var bytes = new byte[Math.Min(count, VhdTableEntries.PerPiece) * sizeof(uint)];
        bytes.AsSpan().Fill(0xff);
        for (var block = first; block < first + count; block += VhdTableEntries.PerPiece)
        {
            var part = (int)Math.Min(first + count - block, VhdTableEntries.PerPiece);
            await _file.WriteAsync(EntryOffset(block), bytes.AsMemory(0, part * sizeof(uint)), CancellationToken.None).ConfigureAwait(false);
            for (var index = 0; index < part; index++)
                Volatile.Write(ref _entries[block + index], Free);
            Interlocked.Add(ref _unmapCount, part);
        }
    }

    /// <summary>Makes the file's next entries, up to so many, free ones. Nobody owns their place; what is there may be an old footer.</summary>
    public async ValueTask PrepareGrowthAsync(long count, CancellationToken cancellationToken)
    {
        var more = new uint[count - Count];
        await VhdTableEntries.ReadAsync(_file, EntryOffset(Count), more, cancellationToken).ConfigureAwait(false);
        if (!more.AsSpan().ContainsAnyExcept(Free))
            return;
        var bytes = new byte[more.Length * sizeof(uint)];
        bytes.AsSpan().Fill(0xff);
        await _file.WriteAsync(EntryOffset(Count), bytes, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes room for a larger disk; the new blocks have no place.</summary>
    public void Grow(long count)
    {
        var grown = new uint[count];
        grown.AsSpan().Fill(Free);
        _entries.CopyTo(grown, 0);
        Volatile.Write(ref _entries, grown);
    }

    /// <summary>Where in the file a block's entry is.</summary>
    public long EntryOffset(long block) => Offset + (block * sizeof(uint));
}
