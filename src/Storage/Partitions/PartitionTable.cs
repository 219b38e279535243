namespace Godwit.Storage.Partitions;

/// <summary>What the tables of a disk say about its division. Immutable.</summary>
/// <remarks>Tables are written by guests: any content is fine, nothing is trusted, and the work is bounded (at most 4 MiB are
/// read). What does not fit together is a <see cref="Problems">problem</see>, never an exception.</remarks>
public sealed class PartitionTable
{
    private readonly List<Partition> _partitions = [];
    private readonly List<string> _problems = [];

    internal PartitionTable(PartitionScheme scheme, int sectorSize, string evidence)
    {
        Scheme = scheme;
        SectorSize = sectorSize;
        Evidence = evidence;
    }

    /// <summary>The kind of table.</summary>
    public PartitionScheme Scheme { get; }

    /// <summary>Bytes per sector that the table counts in: of a raw image of a 4096-byte disk not the device's own.</summary>
    public int SectorSize { get; }

    /// <summary>The structure that says so, for messages: "the GPT header at offset 512".</summary>
    public string Evidence { get; }

    /// <summary>All partitions in the order of their numbers; extended partitions are listed besides their logical ones.</summary>
    public IReadOnlyList<Partition> Partitions => _partitions;

    /// <summary>What is wrong with the tables, as sentences without a full stop.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>There is a table, but not all of it can be read: there may be partitions besides those listed.</summary>
    public bool IsIncomplete { get; private set; }

    /// <summary>The partition that ends last; null when there is none.</summary>
    public Partition? Last => _partitions.MaxBy(partition => partition.End);

    /// <summary>First byte behind the last partition, extended partitions included; 0 when there is none.</summary>
    public long EndOfLastPartition => Last?.End ?? 0;

    /// <summary>The copies of a GUID partition table; null for every other scheme and when no copy can be used.</summary>
    internal GptCopies? Gpt { get; init; }

    /// <summary>Reads the tables of a disk. Only reads.</summary>
    /// <param name="device">The disk, any sector size.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">The device failed.</exception>
    public static async ValueTask<PartitionTable> ReadAsync(BlockDevice device, CancellationToken cancellationToken)
    {
        var head = await SectorReader.ReadAsync(
            device, 0, Math.Min(WholeDiskContent.HeadLength, device.Length), cancellationToken).ConfigureAwait(false);
        if (head.Length < MbrSector.Length)
            return new PartitionTable(PartitionScheme.None, device.Capabilities.SectorSize, "the disk is smaller than a table");

        var mbr = new MbrSector(head);
        var gpt = await GptReader.FindAsync(device, head, mbr, cancellationToken).ConfigureAwait(false);
        if (mbr.IsProtective || (gpt is not null && !mbr.HasPartitions))
            return GptReader.Read(device, mbr, gpt);
        var content = WholeDiskContent.Recognize(head);
        if (mbr.HasPartitions && mbr.IsPlausible(device.Length / device.Capabilities.SectorSize, WholeDiskContent.FromBootSector(head) is not null))
            return await MbrReader.ReadAsync(device, mbr, gpt is not null, cancellationToken).ConfigureAwait(false);
        if (content is not null)
            return new PartitionTable(PartitionScheme.WholeDisk, device.Capabilities.SectorSize, $"{content} on the whole disk");
        return mbr.HasMark && !mbr.HasPartitions
            ? new PartitionTable(PartitionScheme.Mbr, device.Capabilities.SectorSize, "the MBR at offset 0, which lists no partition")
            : new PartitionTable(PartitionScheme.None, device.Capabilities.SectorSize, "no partition table and no known file system");
    }

    internal void Add(Partition partition) => _partitions.Add(partition);

    /// <summary>Notes a problem.</summary>
    /// <param name="problem">A sentence without a full stop.</param>
    /// <param name="hidesPartitions">There may be partitions that are not listed because of it.</param>
    internal void AddProblem(string problem, bool hidesPartitions)
    {
        _problems.Add(problem);
        IsIncomplete |= hidesPartitions;
    }
}
