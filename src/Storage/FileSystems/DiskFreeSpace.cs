using Godwit.Storage.Partitions;

namespace Godwit.Storage.FileSystems;

/// <summary>Where in a disk nothing is, according to the file systems of its partitions. What lies in no known file system is never free.</summary>
internal sealed class DiskFreeSpace
{
    // Partitions that are parts of something larger, which alone knows what is free.
    private static readonly HashSet<string> Members = new(StringComparer.OrdinalIgnoreCase)
    {
        "42", "8e", "fd", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad",
        "e75caf8f-f680-4cee-afa3-b001e56efc2d", "e6d6d379-f507-44c2-a23c-238f2a3df928", "a19d880f-05fc-4d3b-a006-743f0f84911e",
    };

    private readonly List<(long Start, long End, FreeSpace Space)> _spaces = [];
    private readonly List<PartitionUse> _partitions = [];

    private DiskFreeSpace()
    {
    }

    /// <summary>What was found, in order of the partitions' numbers.</summary>
    public IReadOnlyList<PartitionUse> Partitions => _partitions;

    /// <summary>Reads the partition table and looks at every partition.</summary>
    /// <param name="device">The disk; it is read from as long as this is used.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">The disk could not be read.</exception>
    public static async ValueTask<DiskFreeSpace> ReadAsync(BlockDevice device, CancellationToken cancellationToken)
    {
        var found = new DiskFreeSpace();
        var table = await PartitionTable.ReadAsync(device, cancellationToken).ConfigureAwait(false);
        if (table.Scheme == PartitionScheme.WholeDisk)
            await found.AddAsync(device, new Partition(0, 0, device.Length, ""), null, cancellationToken).ConfigureAwait(false);
        foreach (var partition in table.Partitions.Where(static one => !one.IsContainer).OrderBy(static one => one.Number))
        {
            var reason = table.IsIncomplete
                ? "there may be partitions that cannot be read: " + table.Problems[0]
                : ProblemOf(device, table, partition);
            await found.AddAsync(device, partition, reason, cancellationToken).ConfigureAwait(false);
        }

        found._spaces.Sort(static (a, b) => a.Start.CompareTo(b.Start));
        return found;
    }

    /// <summary>The first free run, or a part of it, in a range of the disk; empty at its end when there is none.</summary>
    public async ValueTask<FreeRun> NextAsync(long offset, long end, CancellationToken cancellationToken)
    {
        foreach (var (start, spaceEnd, space) in _spaces)
        {
            if (spaceEnd <= offset)
                continue;
            if (start >= end)
                break;
            var run = await space.NextAsync(Math.Max(offset, start) - start, Math.Min(end, spaceEnd) - start, cancellationToken).ConfigureAwait(false);
            if (run.Length > 0)
                return new FreeRun(run.Start + start, run.Length);
        }

        return new FreeRun(end, 0);
    }

    private static string? ProblemOf(BlockDevice device, PartitionTable table, Partition partition)
    {
        if (partition.Length <= 0 || partition.Start < 0 || partition.End > device.Length)
            return "it reaches past the end of the disk";
        if ((partition.Start | partition.Length) % device.Capabilities.SectorSize != 0)
            return "it is not whole sectors of the disk";
        if (table.Partitions.FirstOrDefault(other => other != partition && !other.IsContainer
            && other.Start < partition.End && partition.Start < other.End) is Partition overlapping)
        {
            return $"it overlaps partition {overlapping.Number}";
        }

        return Members.Contains(partition.Type) ? $"it is a part of something larger ({partition.TypeName})" : null;
    }

    private async ValueTask AddAsync(BlockDevice device, Partition partition, string? reason, CancellationToken cancellationToken)
    {
        FileSystemFinding? finding = null;
        if (reason is null)
            finding = await FileSystemProbe.OpenAsync(new PartitionReader(device, partition.Start, partition.Length), cancellationToken).ConfigureAwait(false);
        if (finding?.Space is FreeSpace space)
            _spaces.Add((partition.Start, partition.End, space));
        _partitions.Add(new PartitionUse(partition.Number, partition.Start, partition.Length, finding?.Name, reason ?? finding?.Reason));
    }
}
