using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>An NTFS volume as far as its system files are concerned: finds the records of the master file table and reads their data.</summary>
/// <remarks>The layout is that of the Linux-NTFS project's documentation: boot sector, FILE record, attribute header, mapping pairs.</remarks>
internal sealed class NtfsVolume
{
    private const uint DataAttribute = 0x80;
    private readonly PartitionReader _reader;
    private NtfsRuns _table;

    private NtfsVolume(PartitionReader reader, int clusterSize, long clusterCount, int recordSize, NtfsRuns table)
    {
        _reader = reader;
        ClusterSize = clusterSize;
        ClusterCount = clusterCount;
        RecordSize = recordSize;
        _table = table;
    }

    public int ClusterSize { get; }

    public long ClusterCount { get; }

    public int RecordSize { get; }

    /// <summary>Where the master file table starts, in clusters.</summary>
    public long TableCluster => _table.First;

    /// <summary>Reads the boot sector and the first record of the master file table.</summary>
    /// <exception cref="UnusableFileSystemException">Something there cannot be.</exception>
    public static async ValueTask<NtfsVolume> OpenAsync(PartitionReader reader, byte[] boot, CancellationToken cancellationToken)
    {
        var sector = (int)U16(boot, 11);
        var perCluster = boot[13] <= 0x80 ? boot[13] : boot[13] >= 0xf4 ? 1 << (256 - boot[13]) : 0;
        if (sector is not (512 or 1024 or 2048 or 4096) || perCluster == 0 || (perCluster & (perCluster - 1)) != 0)
            throw new UnusableFileSystemException("its sectors or clusters have an impossible size");
        var clusterSize = (long)sector * perCluster;
        var sectors = U64(boot, 40);
        if (clusterSize > 2 << 20 || sectors == 0 || sectors > (ulong)(reader.Length / sector))
            throw new UnusableFileSystemException($"it has {sectors} sectors of {sector} bytes, more than its partition, or impossible clusters");
        var clusters = (long)sectors / perCluster;
        var size = (sbyte)boot[64];
        var recordSize = size > 0 ? size * clusterSize : size is > -17 and < -8 ? 1L << -size : 0;
        if (recordSize is < 512 or > 65536 || (recordSize & (recordSize - 1)) != 0)
            throw new UnusableFileSystemException("the records of its master file table have an impossible size");
        var first = U64(boot, 48);
        if (first == 0 || first >= (ulong)clusters)
            throw new UnusableFileSystemException("its master file table is outside");

        // The first record says where the others are.
        var whole = (recordSize + clusterSize - 1) / clusterSize;
        var volume = new NtfsVolume(reader, (int)clusterSize, clusters, (int)recordSize, NtfsRuns.Single((long)first, Math.Min(whole, clusters - (long)first)));
        volume._table = (await volume.ReadRecordAsync(0, cancellationToken).ConfigureAwait(false)).RunsOf(DataAttribute, clusters);
        if (volume._table.First != (long)first)
            throw new UnusableFileSystemException("its master file table is not where the boot sector says");
        return volume;
    }

    /// <summary>Reads a record of the master file table.</summary>
    /// <exception cref="UnusableFileSystemException">It is damaged, or not where the first record of the table says.</exception>
    public async ValueTask<NtfsRecord> ReadRecordAsync(long number, CancellationToken cancellationToken)
    {
        var bytes = new byte[RecordSize];
        await ReadAsync(_table, number * RecordSize, bytes, cancellationToken).ConfigureAwait(false);
        return new NtfsRecord(NtfsRecord.Repaired(bytes, "FILE"u8, $"record {number} of its master file table"), number);
    }

    /// <summary>Reads bytes of an attribute that lies in clusters.</summary>
    /// <exception cref="UnusableFileSystemException">The runs end before that.</exception>
    public async ValueTask ReadAsync(NtfsRuns runs, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var (cluster, left) = runs.Find(offset / ClusterSize);
            var inCluster = offset % ClusterSize;
            var part = (int)Math.Min(buffer.Length, (left * ClusterSize) - inCluster);
            await _reader.ReadAsync((cluster * ClusterSize) + inCluster, buffer[..part], cancellationToken).ConfigureAwait(false);
            offset += part;
            buffer = buffer[part..];
        }
    }

    /// <summary>The unnamed data of a system file.</summary>
    public NtfsRuns DataOf(NtfsRecord record) => record.RunsOf(DataAttribute, ClusterCount);
}
