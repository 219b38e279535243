using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>Free clusters of an exFAT: its allocation bitmap.</summary>
/// <remarks>Microsoft's exFAT specification, sections 3 and 7.1. Cluster 0 of the map is the volume's cluster 2.</remarks>
internal sealed class ExfatFreeSpace : FreeSpace
{
    private const int PieceClusters = 1 << 15;
    private readonly PartitionReader _reader;
    private readonly long _bitmapStart;

    private ExfatFreeSpace(PartitionReader reader, long heap, long clusterSize, long clusters, long bitmapStart)
        : base("exFAT", heap, clusterSize, clusters, PieceClusters)
    {
        _reader = reader;
        _bitmapStart = bitmapStart;
    }

    /// <summary>Opens the map of a partition with the mark of an exFAT.</summary>
    /// <exception cref="UnusableFileSystemException">It is not clean, or damaged.</exception>
    public static async ValueTask<ExfatFreeSpace> OpenAsync(PartitionReader reader, byte[] boot, CancellationToken cancellationToken)
    {
        var (sectorShift, clusterShift) = (boot[108], boot[109]);
        if (sectorShift is < 9 or > 12 || clusterShift > 25 - sectorShift)
            throw new UnusableFileSystemException("its sectors or clusters have an impossible size");
        if ((boot[106] & 6) != 0)
            throw new UnusableFileSystemException("it was not unmounted, or the disk had errors; check it first");
        if (boot[110] != 1)
            throw new UnusableFileSystemException("it has two tables (TexFAT), which is not known here");
        var clusterSize = 1L << (sectorShift + clusterShift);
        var table = (long)U32(boot, 80) << sectorShift;
        var heap = (long)U32(boot, 88) << sectorShift;
        var clusters = (long)U32(boot, 92);
        if (clusters == 0 || U64(boot, 72) > (ulong)(reader.Length >> sectorShift) || heap > reader.Length - (clusters * clusterSize))
            throw new UnusableFileSystemException("it is larger than its partition");
        var root = U32(boot, 96);
        if (root < 2 || root - 2 >= clusters)
            throw new UnusableFileSystemException("its root folder is outside");
        var (first, length) = await FindBitmapAsync(reader, heap + ((root - 2) * clusterSize), clusterSize, cancellationToken).ConfigureAwait(false);
        if (first < 2 || first - 2 >= clusters || length < (ulong)(clusters + 7) / 8 || length > (ulong)(clusters * clusterSize))
            throw new UnusableFileSystemException("its allocation bitmap is outside, or too short");
        var pieces = ((long)length + clusterSize - 1) / clusterSize;
        await RequireContiguousAsync(reader, table, first, pieces, cancellationToken).ConfigureAwait(false);
        var space = new ExfatFreeSpace(reader, heap, clusterSize, clusters, heap + ((first - 2) * clusterSize));
        if (!await space.IsUsedAsync((long)first - 2, cancellationToken).ConfigureAwait(false)
            || !await space.IsUsedAsync((long)first - 3 + pieces, cancellationToken).ConfigureAwait(false)
            || !await space.IsUsedAsync((long)root - 2, cancellationToken).ConfigureAwait(false))
        {
            throw new UnusableFileSystemException("its allocation bitmap calls itself or the root folder free");
        }

        return space;
    }

    /// <inheritdoc/>
    protected override ValueTask FillAsync(long piece, Memory<byte> used, CancellationToken cancellationToken)
    {
        var count = Math.Min(PieceClusters, ClusterCount - (piece * PieceClusters));
        return _reader.ReadAsync(_bitmapStart + (piece * PieceClusters / 8), used[..(int)((count + 7) / 8)], cancellationToken);
    }

    /// <summary>Finds the entry of the bitmap among the first ones of the root folder, where every formatter puts it.</summary>
    private static async ValueTask<(uint First, ulong Length)> FindBitmapAsync(
        PartitionReader reader, long root, long clusterSize, CancellationToken cancellationToken)
    {
        const int EntryLength = 32;
        const byte BitmapEntry = 0x81;
        var entries = await reader.ReadAsync(root, (int)Math.Min(clusterSize, 4096), cancellationToken).ConfigureAwait(false);
        for (var at = 0; at < entries.Length && entries[at] != 0; at += EntryLength)
        {
            if (entries[at] == BitmapEntry && (entries[at + 1] & 1) == 0)
                return (U32(entries, at + 20), U64(entries, at + 24));
        }

        throw new UnusableFileSystemException("its allocation bitmap was not found");
    }

    private static async ValueTask RequireContiguousAsync(
        PartitionReader reader, long table, uint first, long pieces, CancellationToken cancellationToken)
    {
        for (long index = 0; index < pieces - 1; index++)
        {
            var next = await reader.ReadAsync(table + ((first + index) * sizeof(uint)), sizeof(uint), cancellationToken).ConfigureAwait(false);
            if (U32(next, 0) != first + index + 1)
                throw new UnusableFileSystemException("its allocation bitmap is in pieces");
        }
    }
}
