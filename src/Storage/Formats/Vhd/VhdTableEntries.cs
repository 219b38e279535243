using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>The entries of a block table as they are in the file. Memory: one piece of 64 KiB, whatever the header says.</summary>
/// <remarks>VHD specification 1.0, "Block Allocation Table": 32-bit sector numbers, all ones for a block without a place.</remarks>
internal sealed class VhdTableEntries
{
    /// <summary>The entry of a block without a place.</summary>
    public const uint Free = uint.MaxValue;

    /// <summary>How many are read or written at once.</summary>
    public const int PerPiece = 16 << 10;

    private readonly IStorageFile _file;

    private VhdTableEntries(IStorageFile file, long offset, long count)
    {
        _file = file;
        Offset = offset;
        Count = count;
    }

    /// <summary>Where in the file the table is.</summary>
    public long Offset { get; }

    /// <summary>Blocks of the disk.</summary>
    public long Count { get; }

    /// <summary>The entries of the disk's blocks. Reads nothing yet.</summary>
    /// <exception cref="StorageException">Corrupt: the table is not all there. Unsupported: it would not fit in memory.</exception>
    public static VhdTableEntries Of(IStorageFile file, VhdDynamicHeader header, long blocks, long end)
    {
        var offset = (long)header.TableOffset;
        if (blocks > header.MaxEntries)
            throw Corrupt($"the disk has {blocks} blocks, the block table only {header.MaxEntries} entries");
        if (blocks * sizeof(uint) > end - offset)
            throw Corrupt($"the block table ({blocks} entries at {offset}) reaches past the end at {end}");
        if (blocks * sizeof(uint) > VhdFormat.MaxTableLength)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"the block table has {blocks} entries because its blocks have only {header.BlockSize} bytes; this version reads 16,777,216",
                file.Path, offset, "open");
        }

        return new VhdTableEntries(file, offset, blocks);

        StorageException Corrupt(string reason) => new(StorageErrorKind.Corrupt, reason, file.Path, offset, "open");
    }

    /// <summary>Where in the file a block's entry is.</summary>
    public long OffsetOf(long block) => Offset + (block * sizeof(uint));

    /// <summary>Hands out the blocks that have a place, in the order of the disk, each with the byte offset of its bitmap.</summary>
    public ValueTask ForEachPresentAsync(Action<long, long> visit, CancellationToken cancellationToken) =>
        ForEachPresentAsync(0, Free - 1, (block, sector) => visit(block, (long)sector * VhdFormat.Sector), cancellationToken);

    /// <summary>Hands out the blocks whose place is in some sectors, in the order of the disk, each with the sector of its bitmap.</summary>
    public async ValueTask ForEachPresentAsync(uint first, uint last, Action<long, uint> visit, CancellationToken cancellationToken)
    {
        var entries = new uint[Math.Min(Count, PerPiece)];
        for (long start = 0; start < Count; start += PerPiece)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var piece = entries.AsMemory(0, (int)Math.Min(PerPiece, Count - start));
            await ReadAsync(_file, OffsetOf(start), piece, cancellationToken).ConfigureAwait(false);
            Visit(start, piece.Span, first, last, visit);
        }
    }

    /// <summary>Reads entries.</summary>
    public static async ValueTask ReadAsync(IStorageFile file, long offset, Memory<uint> entries, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(entries.Length, PerPiece) * sizeof(uint));
        try
        {
            for (var first = 0; first < entries.Length; first += PerPiece)
            {
                var part = buffer.AsMemory(0, Math.Min(PerPiece, entries.Length - first) * sizeof(uint));
                await file.ReadAsync(offset + ((long)first * sizeof(uint)), part, cancellationToken).ConfigureAwait(false);
                BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, uint>(part.Span), entries.Span[first..]);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Visit(long start, ReadOnlySpan<uint> entries, uint first, uint last, Action<long, uint> visit)
    {
        for (var index = 0; index < entries.Length; index++)
        {
            if (entries[index] - first <= last - first)
                visit(start + index, entries[index]);
        }
    }
}
