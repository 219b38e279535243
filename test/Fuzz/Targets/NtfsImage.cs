using Godwit.Testing.Files;
using static Godwit.Fuzz.Targets.FileSystemImages;

namespace Godwit.Fuzz.Targets;

/// <summary>A small NTFS made byte by byte: boot sector, the records that tell whether it is clean and what is free, and what they lead to.</summary>
internal static class NtfsImage
{
    public const int RecordSize = 1024;
    public const int TableOffset = 4 * Cluster;
    public const int LogOffset = 16 * Cluster;
    public const int BitmapOffset = 8 * Cluster;
    private const int Cluster = 4096;
    private const int FirstAttribute = 56;

    /// <summary>Clean, with a hibernation file that is not in use.</summary>
    public static ValueTask<MemoryFile> CreateAsync()
    {
        var disk = new byte[24 * Cluster];
        "NTFS    "u8.CopyTo(disk.AsSpan(3));
        Put(disk, 11, 2, Sector);
        disk[13] = Cluster / Sector;
        Put(disk, 40, 8, 8191);
        Put(disk, 48, 8, TableOffset / Cluster);
        disk[64] = 0xf6;
        (disk[510], disk[511]) = (0x55, 0xaa);
        disk.AsSpan(BitmapOffset, 8).Fill(0xff);
        foreach (var page in (int[])[LogOffset, LogOffset + Cluster])
            PutRestart(disk.AsSpan(page));
        PutRecord(disk, 0, Runs(TableOffset, clusters: 2));
        PutRecord(disk, 2, Runs(LogOffset, clusters: 2));
        PutRecord(disk, 3, Resident(0x70, "", new byte[12]));
        PutRecord(disk, 5, Resident(0x90, "$I30", Folder("hiberfil.sys", record: 7)));
        PutRecord(disk, 6, Runs(BitmapOffset, clusters: 1));
        PutRecord(disk, 7, Runs(20 * Cluster, clusters: 1));
        return ToFileAsync(disk, 8192 * Sector);
    }

    private static void PutRestart(Span<byte> page)
    {
        "RSTR"u8.CopyTo(page);
        Put(page, 16, 4, Cluster);
        Put(page, 24, 2, 48);
        Put(page, 48 + 12, 2, 0xffff);
    }

    private static void PutRecord(byte[] disk, int number, byte[] attribute)
    {
        var record = disk.AsSpan(TableOffset + (number * RecordSize), RecordSize);
        "FILE"u8.CopyTo(record);
        Put(record, 4, 2, 48);
        Put(record, 6, 2, 3);
        Put(record, 20, 2, FirstAttribute);
        attribute.CopyTo(record[FirstAttribute..]);
        Put(record, FirstAttribute + attribute.Length, 4, 0xffffffff);

        // The last two bytes of each sector are kept elsewhere, and a number stands for them.
        Put(record, 48, 2, 1);
        foreach (var end in (int[])[510, 1022])
            Put(record, end, 2, 1);
    }

    private static byte[] Runs(int offset, int clusters)
    {
        var attribute = new byte[72];
        Put(attribute, 0, 4, 0x80);
        Put(attribute, 4, 4, attribute.Length);
        attribute[8] = 1;
        Put(attribute, 24, 8, clusters - 1);
        Put(attribute, 32, 2, 64);
        foreach (var at in (int[])[40, 48, 56])
            Put(attribute, at, 8, clusters * Cluster);
        (attribute[64], attribute[65], attribute[66]) = (0x11, (byte)clusters, (byte)(offset / Cluster));
        return attribute;
    }

    private static byte[] Resident(int type, string name, byte[] value)
    {
        var start = 24 + (2 * name.Length);
        var attribute = new byte[(start + value.Length + 7) / 8 * 8];
        Put(attribute, 0, 4, type);
        Put(attribute, 4, 4, attribute.Length);
        attribute[9] = (byte)name.Length;
        Put(attribute, 10, 2, 24);
        Put(attribute, 16, 4, value.Length);
        Put(attribute, 20, 2, start);
        System.Text.Encoding.Unicode.GetBytes(name, attribute.AsSpan(24));
        value.CopyTo(attribute, start);
        return attribute;
    }

    /// <summary>The root of a folder's index with one entry.</summary>
    private static byte[] Folder(string name, int record)
    {
        var length = (82 + (2 * name.Length) + 7) / 8 * 8;
        var value = new byte[32 + length + 16];
        Put(value, 8, 4, Cluster);
        Put(value, 16, 4, 16);
        Put(value, 20, 4, value.Length - 16);
        var entry = value.AsSpan(32);
        Put(entry, 0, 8, record);
        Put(entry, 8, 2, length);
        Put(entry, 10, 2, 66 + (2 * name.Length));
        entry[80] = (byte)name.Length;
        System.Text.Encoding.Unicode.GetBytes(name, entry[82..]);
        Put(entry, length + 8, 2, 16);
        Put(entry, length + 12, 2, 2);
        return value;
    }
}
