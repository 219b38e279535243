using System.Buffers.Binary;
using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>Free clusters of a FAT12, FAT16 or FAT32: entries that are 0 in every copy of the table.</summary>
/// <remarks>Microsoft's FAT specification (2004), sections 3 and 4. Cluster 0 of the map is the volume's cluster 2.</remarks>
internal sealed class FatFreeSpace : FreeSpace
{
    private const int PieceClusters = 1 << 15;
    private const int FirstCluster = 2;
    private readonly PartitionReader _reader;
    private readonly FatBootSector _boot;
    private readonly byte[] _entries;

    private FatFreeSpace(PartitionReader reader, FatBootSector boot)
        : base($"FAT{boot.EntryBits}", boot.DataStart, boot.ClusterSize, boot.ClusterCount, PieceClusters)
    {
        _reader = reader;
        _boot = boot;
        _entries = new byte[(PieceClusters * boot.EntryBits / 8) + 2];
    }

    /// <summary>Opens the map of a partition whose boot sector looks like that of a FAT.</summary>
    /// <exception cref="UnusableFileSystemException">It is not clean, or damaged.</exception>
    public static async ValueTask<FatFreeSpace> OpenAsync(PartitionReader reader, byte[] bootSector, CancellationToken cancellationToken)
    {
        var boot = FatBootSector.Parse(bootSector, reader.Length);
        var second = new byte[8];
        await reader.ReadAsync(boot.TableStart(0), second, cancellationToken).ConfigureAwait(false);

        // The second entry of the table says how the volume was left: clean, and without errors of the disk.
        var clean = boot.EntryBits switch
        {
            16 => (U16(second, 2) & 0xc000) == 0xc000,
            32 => (U32(second, 4) & 0x0c000000) == 0x0c000000,
            _ => true,
        };
        if (!clean)
            throw new UnusableFileSystemException("it was not unmounted, or the disk had errors; check it first");
        if (second[0] != boot.Media)
            throw new UnusableFileSystemException("its table does not start with the media byte of its boot sector");
        return new FatFreeSpace(reader, boot);
    }

    /// <inheritdoc/>
    protected override async ValueTask FillAsync(long piece, Memory<byte> used, CancellationToken cancellationToken)
    {
        var first = (piece * PieceClusters) + FirstCluster;
        var count = (int)Math.Min(PieceClusters, ClusterCount - (piece * PieceClusters));
        used.Span.Clear();
        for (var copy = _boot.FirstTable; copy <= _boot.LastTable; copy++)
        {
            var from = first * _boot.EntryBits / 8;
            var to = (((first + count) * _boot.EntryBits) + 7) / 8;
            await _reader.ReadAsync(_boot.TableStart(copy) + from, _entries.AsMemory(0, (int)(to - from)), cancellationToken).ConfigureAwait(false);
            for (var index = 0; index < count; index++)
            {
                if (EntryAt(first + index, from) != 0)
                    used.Span[index / 8] |= (byte)(1 << (index % 8));
            }
        }
    }

    private uint EntryAt(long cluster, long from) => _boot.EntryBits switch
    {
        12 => Entry12(cluster, (int)((cluster * 3 / 2) - from)),
        16 => U16(_entries, (int)((cluster * 2) - from)),
        _ => BinaryPrimitives.ReadUInt32LittleEndian(_entries.AsSpan((int)((cluster * 4) - from))) & 0x0fffffff,
    };

    private uint Entry12(long cluster, int at) => cluster % 2 == 0 ? U16(_entries, at) & 0xfffu : (uint)(U16(_entries, at) >> 4);
}
