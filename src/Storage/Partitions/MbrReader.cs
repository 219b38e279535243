namespace Godwit.Storage.Partitions;

/// <summary>Reads the partitions of an MBR, and the logical ones in its extended partitions.</summary>
internal static class MbrReader
{
    // Linux gives numbers to 60 at most; Windows makes 128. A chain that is longer is a loop or an attack.
    private const int MaxLogical = 256;

    /// <summary>Lists the partitions.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="mbr">Its first sector.</param>
    /// <param name="hasGpt">A GUID partition table was found that the MBR does not protect.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<PartitionTable> ReadAsync(
        BlockDevice device, MbrSector mbr, bool hasGpt, CancellationToken cancellationToken)
    {
        var sector = device.Capabilities.SectorSize;
        var table = new PartitionTable(PartitionScheme.Mbr, sector, "the MBR at offset 0");
        if (hasGpt)
            table.AddProblem("a GUID partition table stands beside the MBR, which does not mention it; it is ignored", hidesPartitions: false);
        Add(table, mbr, sector, device.Length);
        var next = 5;
        foreach (var entry in mbr.Entries)
        {
            if (entry is { IsUsed: true, IsExtended: true })
                next = await ReadLogicalAsync(device, table, entry, next, cancellationToken).ConfigureAwait(false);
        }

        return table;
    }

    /// <summary>Adds the partitions of the first sector that are not protective.</summary>
    public static void Add(PartitionTable table, MbrSector mbr, int sector, long deviceLength)
    {
        for (var index = 0; index < mbr.Entries.Length; index++)
        {
            var entry = mbr.Entries[index];
            if (entry.IsUsed && !entry.IsProtective)
                Add(table, index + 1, entry.Start, entry, sector, deviceLength);
        }
    }

    private static void Add(PartitionTable table, int number, long start, MbrEntry entry, int sector, long deviceLength)
    {
        var partition = new Partition(
            number, start * sector, (long)entry.Count * sector, entry.Type.ToString("x2"), IsContainer: entry.IsExtended);
        table.Add(partition);
        if (partition.End > deviceLength)
            table.AddProblem($"{partition} ends at {partition.End}, behind the disk's {deviceLength} bytes", hidesPartitions: false);
    }

    /// <summary>Follows the chain of EBRs: each holds one logical partition, relative to itself, and where the next one is,
    /// relative to the extended partition.</summary>
    private static async ValueTask<int> ReadLogicalAsync(
        BlockDevice device, PartitionTable table, MbrEntry extended, int number, CancellationToken cancellationToken)
    {
        var sector = device.Capabilities.SectorSize;
        var seen = new HashSet<long>();
        for (long at = extended.Start; ;)
        {
            if (at >= device.Length / sector || !seen.Add(at) || seen.Count > MaxLogical)
            {
                table.AddProblem($"the chain of logical partitions leads to sector {at}, which is behind the disk's end or was there before", hidesPartitions: true);
                return number;
            }

            var ebr = new MbrSector(await SectorReader.ReadAsync(device, at * sector, sector, cancellationToken).ConfigureAwait(false));
            if (!ebr.HasMark)
            {
                table.AddProblem($"the extended partition has no partition table at offset {at * sector}", hidesPartitions: true);
                return number;
            }

            var logical = ebr.Entries[0];
            if (logical.IsUsed && !logical.IsExtended)
                Add(table, number++, at + logical.Start, logical, sector, device.Length);
            var link = Array.Find(ebr.Entries, entry => entry is { IsUsed: true, IsExtended: true });
            if (!link.IsUsed)
                return number;
            at = (long)extended.Start + link.Start;
        }
    }
}
