using System.Buffers.Binary;

namespace Godwit.Storage.Partitions;

/// <summary>The partition table in a sector: four entries at 446 and the mark 55 AA at 510 (MBR and EBR alike).</summary>
internal sealed class MbrSector
{
    /// <summary>Bytes that matter, whatever the sector size.</summary>
    public const int Length = 512;

    private const int EntriesAt = 446;
    private const int EntryLength = 16;

    /// <summary>Reads the table.</summary>
    /// <param name="sector">512 bytes or more; the first 512 count.</param>
    public MbrSector(ReadOnlySpan<byte> sector)
    {
        HasMark = sector[510] == 0x55 && sector[511] == 0xaa;
        for (var index = 0; index < Entries.Length; index++)
        {
            var entry = sector.Slice(EntryOffset(index), EntryLength);
            Entries[index] = new MbrEntry(
                entry[0], entry[4], BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]), BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]));
        }
    }

    /// <summary>The sector ends with 55 AA: a table, or a boot sector of a file system.</summary>
    public bool HasMark { get; }

    /// <summary>The four entries.</summary>
    public MbrEntry[] Entries { get; } = new MbrEntry[4];

    /// <summary>An entry protects a GUID partition table (UEFI specification 5.2.3).</summary>
    public bool IsProtective => HasMark && Array.Exists(Entries, entry => entry.IsProtective);

    /// <summary>An entry is a partition that this table describes itself.</summary>
    public bool HasPartitions => HasMark && Array.Exists(Entries, entry => entry.IsUsed && !entry.IsProtective);

    /// <summary>Where in the sector an entry is.</summary>
    public static int EntryOffset(int index) => EntriesAt + (index * EntryLength);

    /// <summary>The entries are a table, not boot code that ends with the same mark.</summary>
    /// <param name="sectors">Sectors of the disk.</param>
    /// <param name="isBootSector">The sector is a file system's boot sector; then all four must fit the disk.</param>
    public bool IsPlausible(long sectors, bool isBootSector) => Array.TrueForAll(
        Entries,
        entry => entry.Status is 0 or 0x80
            && (!isBootSector || !entry.IsUsed || (entry.Start > 0 && (long)entry.Start + entry.Count <= sectors)));
}
