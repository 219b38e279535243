namespace Godwit.Storage.FileSystems;

/// <summary>Which clusters hold an attribute: runs in order, without holes.</summary>
internal sealed class NtfsRuns
{
    private const int MaxRuns = 1 << 16;
    private readonly List<(long Cluster, long Count)> _runs = [];

    private NtfsRuns()
    {
    }

    public IReadOnlyList<(long Cluster, long Count)> All => _runs;

    /// <summary>The first cluster.</summary>
    public long First => _runs[0].Cluster;

    /// <summary>Clusters.</summary>
    public long Count { get; private set; }

    /// <summary>Bytes of the attribute that were ever written.</summary>
    public ulong InitializedLength { get; init; }

    public static NtfsRuns Single(long cluster, long count)
    {
        var runs = new NtfsRuns();
        runs.Add(cluster, count);
        return runs;
    }

    /// <summary>Takes mapping pairs apart.</summary>
    /// <exception cref="UnusableFileSystemException">They are damaged, have holes, or lead outside the volume.</exception>
    public static NtfsRuns Parse(ReadOnlySpan<byte> pairs, long clusterCount, ulong initializedLength)
    {
        var runs = new NtfsRuns { InitializedLength = initializedLength };
        long cluster = 0;
        while (!pairs.IsEmpty && pairs[0] != 0)
        {
            int countSize = pairs[0] & 15, offsetSize = pairs[0] >> 4;
            if (countSize is 0 or > 8 || offsetSize is 0 or > 8 || pairs.Length < 1 + countSize + offsetSize || runs._runs.Count == MaxRuns)
                throw new UnusableFileSystemException("a system file has holes, or a damaged list of its clusters");
            var count = Number(pairs.Slice(1, countSize));
            cluster = unchecked(cluster + Number(pairs.Slice(1 + countSize, offsetSize)));
            if (count <= 0 || cluster < 0 || cluster >= clusterCount || count > clusterCount - cluster)
                throw new UnusableFileSystemException("a system file has clusters outside the volume");
            runs.Add(cluster, count);
            pairs = pairs[(1 + countSize + offsetSize)..];
        }

        return runs._runs.Count > 0 ? runs : throw new UnusableFileSystemException("a system file has no clusters");
    }

    /// <summary>Where a cluster of the attribute is, and how many follow it at once, itself included.</summary>
    /// <exception cref="UnusableFileSystemException">It is behind the last one.</exception>
    public (long Cluster, long Left) Find(long index)
    {
        foreach (var (cluster, count) in _runs)
        {
            if (index < count)
                return (cluster + index, count - index);
            index -= count;
        }

        throw new UnusableFileSystemException("a system file is shorter than it should be, or continues in another record");
    }

    private static long Number(ReadOnlySpan<byte> bytes)
    {
        long value = (sbyte)bytes[^1];
        for (var index = bytes.Length - 2; index >= 0; index--)
            value = (value << 8) | bytes[index];
        return value;
    }

    private void Add(long cluster, long count)
    {
        _runs.Add((cluster, count));
        Count += count;
    }
}
