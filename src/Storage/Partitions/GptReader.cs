using System.Buffers.Binary;
using System.Text;

namespace Godwit.Storage.Partitions;

/// <summary>Finds and reads the copies of a GUID partition table.</summary>
internal static class GptReader
{
    private static readonly int[] SectorSizes = [512, 4096];

    /// <summary>Looks for a copy whose checksums are right, for sectors of the device and, in a raw image of a 4096-byte disk,
    /// for 4096-byte ones.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="head">Its start.</param>
    /// <param name="mbr">Its first sector.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The copies; null when there is none that can be used.</returns>
    public static async ValueTask<GptCopies?> FindAsync(
        BlockDevice device, ReadOnlyMemory<byte> head, MbrSector mbr, CancellationToken cancellationToken)
    {
        foreach (var size in SectorSizes)
        {
            if (size < device.Capabilities.SectorSize || device.Length / size < 3)
                continue;

            // Without a mark at the start and without a protective MBR a copy at the end is left over from another disk.
            var marked = head.Length >= size + 8 && head.Span[size..].StartsWith("EFI PART"u8);
            if (!marked && !mbr.IsProtective)
                continue;
            var primary = await TryReadAsync(device, 1, size, cancellationToken).ConfigureAwait(false);
            var backup = await FindBackupAsync(device, primary, mbr, size, cancellationToken).ConfigureAwait(false);
            if (primary is not null || backup is not null)
                return new GptCopies(primary, backup);
        }

        return null;
    }

    /// <summary>Lists the partitions.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="mbr">Its first sector.</param>
    /// <param name="copies">What was found; null when the MBR promises a table that is not there.</param>
    public static PartitionTable Read(BlockDevice device, MbrSector mbr, GptCopies? copies)
    {
        if (copies is null)
        {
            var missing = new PartitionTable(PartitionScheme.Gpt, device.Capabilities.SectorSize, "the protective MBR at offset 0");
            missing.AddProblem("the protective MBR says that there is a GUID partition table, but no copy of it is valid", hidesPartitions: true);
            return missing;
        }

        var copy = copies.Current;
        var name = copies.Primary is null ? "the backup GPT header" : "the GPT header";
        var table = new PartitionTable(PartitionScheme.Gpt, copy.SectorSize, $"{name} at offset {copy.MyLba * copy.SectorSize}") { Gpt = copies };
        if (copies.Primary is null)
            table.AddProblem("the primary GUID partition table is damaged; its backup is used", hidesPartitions: false);
        else if (copies.Backup is null)
            table.AddProblem("the backup of the GUID partition table is damaged or missing", hidesPartitions: false);
        if (!mbr.IsProtective)
            table.AddProblem("no protective MBR stands in front of the GUID partition table", hidesPartitions: false);
        AddPartitions(table, copy, device.Length);

        // A hybrid MBR repeats some of the partitions, with numbers of its own. Only one that reaches further says anything new.
        if (Array.Exists(mbr.Entries, entry => mbr.HasMark && entry.IsUsed && !entry.IsProtective
            && ((long)entry.Start + entry.Count) * copy.SectorSize > table.EndOfLastPartition))
        {
            table.AddProblem("the MBR lists a partition behind all those of the GUID partition table", hidesPartitions: false);
            MbrReader.Add(table, mbr, copy.SectorSize, device.Length);
        }

        return table;
    }

    private static void AddPartitions(PartitionTable table, GptCopy copy, long deviceLength)
    {
        for (var index = 0; index < copy.Entries.Length / copy.EntrySize; index++)
        {
            var entry = copy.Entries.AsSpan(index * copy.EntrySize, copy.EntrySize);
            var type = new Guid(entry[..16]);
            if (type == Guid.Empty)
                continue;
            var first = BinaryPrimitives.ReadUInt64LittleEndian(entry[GptLayout.EntryFirst..]);
            var last = BinaryPrimitives.ReadUInt64LittleEndian(entry[GptLayout.EntryLast..]);
            if (first > last || last >= (ulong)(long.MaxValue / copy.SectorSize))
            {
                table.AddProblem($"partition {index + 1} reaches from sector {first} to {last}, which cannot be", hidesPartitions: true);
                continue;
            }

            var partition = new Partition(
                index + 1,
                (long)first * copy.SectorSize,
                (long)(last - first + 1) * copy.SectorSize,
                type.ToString(),
                NameOf(entry.Slice(GptLayout.EntryName, GptLayout.EntryNameLength)));
            table.Add(partition);
            if (partition.End > deviceLength)
                table.AddProblem($"{partition} ends at {partition.End}, behind the disk's {deviceLength} bytes", hidesPartitions: false);
        }
    }

    /// <summary>The backup stands in the last sector, or, when the disk has grown, where the primary or the MBR say.</summary>
    private static async ValueTask<GptCopy?> FindBackupAsync(
        BlockDevice device, GptCopy? primary, MbrSector mbr, int size, CancellationToken cancellationToken)
    {
        var sectors = (ulong)(device.Length / size);
        var protective = Array.Find(mbr.Entries, entry => entry.IsProtective);
        foreach (var lba in new[] { primary?.AlternateLba ?? 0, sectors - 1, (ulong)protective.Start + protective.Count - 1 }.Distinct())
        {
            if (lba > 1 && lba < sectors && await TryReadAsync(device, (long)lba, size, cancellationToken).ConfigureAwait(false) is GptCopy found
                && (primary is null || found.DiskId == primary.DiskId))
            {
                return found;
            }
        }

        return null;
    }

    private static async ValueTask<GptCopy?> TryReadAsync(BlockDevice device, long lba, int size, CancellationToken cancellationToken)
    {
        var sectors = device.Length / size;
        var header = await SectorReader.ReadAsync(device, lba * size, size, cancellationToken).ConfigureAwait(false);
        if (!header.AsSpan().StartsWith("EFI PART"u8) || !HasRightCrc(header))
            return null;
        var myLba = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GptLayout.MyLba));
        var entriesLba = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GptLayout.EntriesLba));
        var count = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(GptLayout.EntryCount));
        var entrySize = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(GptLayout.EntrySize));
        if (myLba != (ulong)lba || entrySize < GptLayout.MinEntry || !uint.IsPow2(entrySize)
            || count is 0 || count > GptLayout.MaxEntriesLength / entrySize)
        {
            return null;
        }

        var length = count * entrySize;
        if (entriesLba < 2 || entriesLba > (ulong)sectors || ((length + (ulong)size - 1) / (ulong)size) > (ulong)sectors - entriesLba)
            return null;
        var entries = await SectorReader.ReadAsync(device, (long)entriesLba * size, length, cancellationToken).ConfigureAwait(false);
        return Crc32.Of(entries) == BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(GptLayout.EntriesCrc))
            ? new GptCopy(header, entries, size)
            : null;
    }

    private static bool HasRightCrc(byte[] header)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(GptLayout.HeaderSize));
        if (length < GptLayout.MinHeader || length > header.Length)
            return false;
        var plain = header.AsSpan(0, (int)length).ToArray();
        plain.AsSpan(GptLayout.HeaderCrc, sizeof(uint)).Clear();
        return Crc32.Of(plain) == BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(GptLayout.HeaderCrc));
    }

    private static string? NameOf(ReadOnlySpan<byte> field)
    {
        var text = Encoding.Unicode.GetString(field);
        var end = text.IndexOf('\0', StringComparison.Ordinal);
        var name = end < 0 ? text : text[..end];
        return name.Length == 0 ? null : string.Create(name.Length, name, static (target, source) =>
        {
            // The guest chose it, and it ends up on somebody's terminal.
            for (var index = 0; index < target.Length; index++)
                target[index] = char.IsControl(source[index]) ? '?' : source[index];
        });
    }
}
