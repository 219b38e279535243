using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>What the boot sector of a FAT says, checked.</summary>
/// <remarks>Microsoft's FAT specification (2004), section 3.</remarks>
internal sealed record FatBootSector(
    int EntryBits, int SectorSize, long ReservedSectors, int Tables, long TableSectors, long DataStart, int ClusterSize, long ClusterCount, byte Media)
{
    /// <summary>The copies of the table that count.</summary>
    public int FirstTable { get; private init; }

    public int LastTable { get; private init; }

    public long TableStart(int copy) => (ReservedSectors + (copy * TableSectors)) * SectorSize;

    /// <summary>Whether a boot sector could be that of a FAT. NTFS and exFAT have other marks in the same place.</summary>
    public static bool LooksLike(ReadOnlySpan<byte> boot) =>
        boot[510] == 0x55 && boot[511] == 0xaa && boot[0] is 0xeb or 0xe9 && U16(boot, 11) is 512 or 1024 or 2048 or 4096
        && boot[13] is not 0 && (boot[13] & (boot[13] - 1)) == 0 && U16(boot, 14) != 0 && boot[16] is 1 or 2 && (boot[21] == 0xf0 || boot[21] >= 0xf8)
        && (U16(boot, 22) != 0 || U32(boot, 36) != 0);

    /// <summary>Takes a boot sector apart.</summary>
    /// <exception cref="UnusableFileSystemException">What it says cannot be relied on, and why.</exception>
    public static FatBootSector Parse(ReadOnlySpan<byte> boot, long partitionLength)
    {
        var sector = U16(boot, 11);
        var reserved = (long)U16(boot, 14);
        var tables = boot[16];
        var tableSectors = U16(boot, 22) != 0 ? U16(boot, 22) : (long)U32(boot, 36);
        var rootSectors = ((U16(boot, 17) * 32L) + sector - 1) / sector;
        var total = U16(boot, 19) != 0 ? U16(boot, 19) : (long)U32(boot, 32);
        var data = reserved + (tables * tableSectors) + rootSectors;
        if (total > partitionLength / sector || data >= total)
            throw new UnusableFileSystemException($"it has {total} sectors of {sector} bytes, more than its partition or fewer than its tables");
        var clusters = (total - data) / boot[13];
        var bits = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;
        if ((bits == 32) != (U16(boot, 22) == 0))
            throw new UnusableFileSystemException("the number of its clusters does not fit the kind of its table");
        if ((clusters + 2) * bits > tableSectors * sector * 8)
            throw new UnusableFileSystemException("its table is too small for its clusters");
        if ((boot[bits == 32 ? 65 : 37] & 3) != 0)
            throw new UnusableFileSystemException("it was not unmounted, or is marked to be checked");

        // Bit 7: the tables are not copies of each other, and the low bits say which one counts.
        var single = bits == 32 && (U16(boot, 40) & 0x80) != 0;
        var active = U16(boot, 40) & 0xf;
        if (single && active >= tables)
            throw new UnusableFileSystemException("its active table does not exist");
        return new FatBootSector(bits, sector, reserved, tables, tableSectors, data * sector, sector * boot[13], clusters, boot[21])
        {
            FirstTable = single ? active : 0,
            LastTable = single ? active : tables - 1,
        };
    }
}
