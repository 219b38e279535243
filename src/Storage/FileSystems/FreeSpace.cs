namespace Godwit.Storage.FileSystems;

/// <summary>The free ranges of one file system, told piece by piece: one piece of its map is in memory at a time.</summary>
/// <remarks>Says "free" only where the file system itself does. Not thread-safe.</remarks>
internal abstract class FreeSpace
{
    private readonly byte[] _used;
    private long _loaded = -1;

    /// <summary>Creates the map.</summary>
    /// <param name="name">The file system, for messages.</param>
    /// <param name="start">Where the first cluster is, in bytes of the partition.</param>
    /// <param name="clusterSize">Bytes per cluster.</param>
    /// <param name="clusterCount">Clusters.</param>
    /// <param name="clustersPerPiece">Clusters in one piece of the map; a multiple of 8, at most 2^22.</param>
    protected FreeSpace(string name, long start, long clusterSize, long clusterCount, int clustersPerPiece)
    {
        Name = name;
        Start = start;
        ClusterSize = clusterSize;
        ClusterCount = clusterCount;
        ClustersPerPiece = clustersPerPiece;
        _used = new byte[clustersPerPiece / 8];
    }

    public string Name { get; }

    protected long Start { get; }

    protected long ClusterSize { get; }

    protected long ClusterCount { get; }

    protected int ClustersPerPiece { get; }

    /// <summary>The first free run, or a part of it, within a range of the partition.</summary>
    /// <param name="offset">First byte of the range.</param>
    /// <param name="end">The byte after the last one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The run; the next one may follow at once. Empty at the end of the range when there is none.</returns>
    /// <exception cref="StorageException">The disk failed.</exception>
    public async ValueTask<FreeRun> NextAsync(long offset, long end, CancellationToken cancellationToken)
    {
        var last = Math.Min(end, Start + (ClusterCount * ClusterSize));
        for (var at = Math.Max(offset, Start); at < last;)
        {
            var cluster = (at - Start) / ClusterSize;
            await LoadAsync(cluster / ClustersPerPiece, cancellationToken).ConfigureAwait(false);
            var first = cluster - (cluster % ClustersPerPiece);
            var until = Math.Min(first + ClustersPerPiece, ClusterCount);
            var free = Skip(cluster, until, first, used: true);
            if (free == until)
            {
                at = Start + (until * ClusterSize);
                continue;
            }

            var from = Math.Max(at, Start + (free * ClusterSize));
            if (from >= last)
                break;
            var to = Math.Min(last, Start + (Skip(free, until, first, used: false) * ClusterSize));
            return new FreeRun(from, to - from);
        }

        return new FreeRun(end, 0);
    }

    /// <summary>Whether a cluster is marked used; for checks of a file system against itself.</summary>
    protected async ValueTask<bool> IsUsedAsync(long cluster, CancellationToken cancellationToken)
    {
        if (cluster < 0 || cluster >= ClusterCount)
            return false;
        await LoadAsync(cluster / ClustersPerPiece, cancellationToken).ConfigureAwait(false);
        return IsSet((int)(cluster % ClustersPerPiece));
    }

    /// <summary>Fills a piece of the map: a set bit, counted from the lowest one of the first byte, is a cluster in use.</summary>
    /// <param name="piece">Which piece.</param>
    /// <param name="used">All bits are set to begin with; what is behind the last cluster does not matter.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="UnusableFileSystemException">The piece cannot be relied on: all of it then counts as used.</exception>
    protected abstract ValueTask FillAsync(long piece, Memory<byte> used, CancellationToken cancellationToken);

    private async ValueTask LoadAsync(long piece, CancellationToken cancellationToken)
    {
        if (piece == _loaded)
            return;
        _loaded = -1;
        _used.AsSpan().Fill(0xff);
        try
        {
            await FillAsync(piece, _used, cancellationToken).ConfigureAwait(false);
        }
        catch (UnusableFileSystemException)
        {
            _used.AsSpan().Fill(0xff);
        }

        _loaded = piece;
    }

    private long Skip(long cluster, long until, long first, bool used)
    {
        while (cluster < until)
        {
            var bit = (int)(cluster - first);
            if (bit % 8 == 0 && _used[bit / 8] == (used ? 0xff : 0))
                cluster = Math.Min(until, cluster + 8);
            else if (IsSet(bit) == used)
                cluster++;
            else
                break;
        }

        return cluster;
    }

    private bool IsSet(int bit) => (_used[bit / 8] & (1 << (bit % 8))) != 0;
}
