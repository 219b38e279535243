using System.Buffers.Binary;
using System.Text;
using Godwit.Storage;
using Godwit.Storage.Partitions;

namespace Godwit.Testing.Disks;

/// <summary>Partition tables made by hand, byte by byte from the specifications.</summary>
public static class TableOfTest
{
    /// <summary>The type of a Linux partition.</summary>
    public static readonly Guid Linux = new("0fc63daf-8483-4772-8e79-3d69d8477de4");
    private static readonly CancellationToken None = CancellationToken.None;

    public static ReferenceDisk Disk(long size, int sector = 512) =>
        new(size, DiskCapabilities.Default with { SectorSize = sector, CanResize = true });

    public static async Task<PartitionTable> ReadAsync(BlockDevice disk) => await PartitionTable.ReadAsync(disk, None);

    /// <summary>Writes an MBR or EBR: type, first sector and count of each entry.</summary>
    public static async Task WriteMbrAsync(BlockDevice disk, long lba, params (byte Type, uint Start, uint Count)[] entries)
    {
        var sector = new byte[disk.Capabilities.SectorSize];
        sector[510] = 0x55;
        sector[511] = 0xaa;
        for (var index = 0; index < entries.Length; index++)
        {
            var entry = sector.AsSpan(446 + (index * 16), 16);
            entry[4] = entries[index].Type;
            BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], entries[index].Start);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], entries[index].Count);
        }

        await disk.WriteAsync(lba * sector.Length, sector, WriteFlags.None, None);
    }

    /// <summary>Writes a whole GUID partition table: protective MBR, both copies with 128 entries of 128 bytes.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="sector">Sector size the table counts in.</param>
    /// <param name="sectors">Sectors the table takes the disk for; all when 0.</param>
    /// <param name="partitions">First and last sector of each.</param>
    public static async Task WriteGptAsync(BlockDevice disk, int sector, long sectors, params (ulong First, ulong Last)[] partitions)
    {
        sectors = sectors == 0 ? disk.Length / sector : sectors;
        await WriteMbrAsync(disk, 0, (0xee, 1, (uint)(sectors - 1)));
        var entries = new byte[128 * 128];
        for (var index = 0; index < partitions.Length; index++)
        {
            var entry = entries.AsSpan(index * 128, 128);
            Linux.TryWriteBytes(entry);
            entry[16] = (byte)(index + 1);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[32..], partitions[index].First);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[40..], partitions[index].Last);
            Encoding.Unicode.GetBytes($"part{index + 1}", entry[56..]);
        }

        var room = entries.Length / sector;
        await disk.WriteAsync(2 * sector, entries, WriteFlags.None, None);
        await disk.WriteAsync((sectors - 1 - room) * sector, entries, WriteFlags.None, None);
        await disk.WriteAsync(sector, Header(sector, 1, sectors - 1, 2, sectors, entries), WriteFlags.None, None);
        await disk.WriteAsync((sectors - 1) * sector, Header(sector, sectors - 1, 1, sectors - 1 - room, sectors, entries), WriteFlags.None, None);
    }

    /// <summary>Makes the checksum of a header right after a test has changed it.</summary>
    public static void Seal(Span<byte> header)
    {
        header.Slice(16, 4).Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Crc32.Of(header[..92]));
    }

    /// <summary>Changes some sectors' bytes.</summary>
    public static async Task ChangeAsync(BlockDevice disk, long offset, int length, Action<byte[]> change)
    {
        var bytes = new byte[length];
        await disk.ReadAsync(offset, bytes, None);
        change(bytes);
        await disk.WriteAsync(offset, bytes, WriteFlags.None, None);
    }

    private static byte[] Header(int sector, long my, long other, long entriesAt, long sectors, byte[] entries)
    {
        var header = new byte[sector];
        "EFI PART"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), 0x10000);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), 92);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), my);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(32), other);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(40), 2 + (entries.Length / sector));
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(48), sectors - 2 - (entries.Length / sector));
        header[56] = 0x77;
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(72), entriesAt);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(80), 128);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(84), 128);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(88), Crc32.Of(entries));
        Seal(header);
        return header;
    }
}
