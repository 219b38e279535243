using System.Buffers.Binary;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>Small file systems made byte by byte, the same in every run: only what tells where space is free. Each fills its disk.</summary>
internal static class FileSystemImages
{
    public const int Sector = 512;
    private const int MiB = 1 << 20;

    /// <summary>Bits and bytes of a map before this are in use, those behind free.</summary>
    private const int Used = 64;

    /// <summary>A FAT of any width.</summary>
    /// <param name="bits">12, 16 or 32.</param>
    public static ValueTask<MemoryFile> FatAsync(int bits)
    {
        var (sectors, tableSectors, reserved) = bits switch { 12 => (2048, 8, 1), 16 => (8192, 34, 1), _ => (70_000, 548, 32) };
        var disk = new byte[(reserved + (2 * tableSectors) + 128) * Sector];
        disk[0] = 0xeb;
        Put(disk, 11, 2, Sector);
        disk[13] = 1;
        Put(disk, 14, 2, reserved);
        disk[16] = 2;
        Put(disk, 17, 2, bits == 32 ? 0 : 16);
        Put(disk, bits == 32 ? 32 : 19, bits == 32 ? 4 : 2, sectors);
        disk[21] = 0xf8;
        Put(disk, bits == 32 ? 36 : 22, bits == 32 ? 4 : 2, tableSectors);
        (bits == 32 ? "FAT32   "u8 : bits == 16 ? "FAT16   "u8 : "FAT12   "u8).CopyTo(disk.AsSpan(bits == 32 ? 82 : 54));
        (disk[510], disk[511]) = (0x55, 0xaa);
        for (var copy = 0; copy < 2; copy++)
        {
            var table = disk.AsSpan((reserved + (copy * tableSectors)) * Sector);
            table[..(Used * bits / 8)].Fill(0xff);
            table[0] = 0xf8;
        }

        return ToFileAsync(disk, (long)sectors * Sector);
    }

    /// <summary>An exFAT of clusters of 4 KiB: the bitmap in the first, the root folder in the second.</summary>
    public static ValueTask<MemoryFile> ExfatAsync()
    {
        const int Heap = 128 * Sector;
        var disk = new byte[Heap + (4 * 4096)];
        "EXFAT   "u8.CopyTo(disk.AsSpan(3));
        Put(disk, 72, 8, 8192);
        Put(disk, 80, 4, 24);
        Put(disk, 84, 4, 8);
        Put(disk, 88, 4, Heap / Sector);
        Put(disk, 92, 4, 1008);
        Put(disk, 96, 4, 3);
        (disk[108], disk[109], disk[110]) = (9, 3, 1);
        (disk[510], disk[511]) = (0x55, 0xaa);
        disk.AsSpan(Heap, Used / 8).Fill(0xff);
        var entry = Heap + 4096;
        disk[entry] = 0x81;
        Put(disk, entry + 20, 4, 2);
        Put(disk, entry + 24, 8, 1008 / 8);
        return ToFileAsync(disk, 4 * MiB);
    }

    /// <summary>An ext2 of two groups, of which the second never had its bitmap written.</summary>
    public static ValueTask<MemoryFile> ExtAsync()
    {
        const int Block = 1024;
        var disk = new byte[8 * Block];
        var super = disk.AsSpan(Block, Block);
        foreach (var (at, value) in new[] { (0, 32), (4, 4096), (20, 1), (32, 2048), (36, 2048), (40, 16), (76, 1), (96, 2), (100, 0x11) })
            Put(super, at, 4, value);
        Put(super, 56, 2, 0xEF53);
        Put(super, 58, 2, 1);
        Put(super, 88, 2, 128);
        PutGroup(disk.AsSpan(2 * Block), bitmap: 3, free: 2048 - Used, flags: 0);
        PutGroup(disk.AsSpan((2 * Block) + 32), bitmap: 2051, free: 2047 - 6, flags: 2);
        disk.AsSpan(3 * Block, Used / 8).Fill(0xff);
        return ToFileAsync(disk, 4 * MiB);
    }

    /// <summary>Puts a number, the lowest byte first.</summary>
    public static void Put(Span<byte> bytes, int at, int width, long value)
    {
        Span<byte> whole = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(whole, value);
        whole[..width].CopyTo(bytes[at..]);
    }

    /// <summary>Makes a file that begins with some bytes and whose rest has a piece of old data here and there.</summary>
    public static async ValueTask<MemoryFile> ToFileAsync(byte[] start, long length)
    {
        var file = new MemoryFile(start, "disk");
        await file.SetLengthAsync(length, CancellationToken.None);
        for (var at = (start.Length + 0xffff) / 0x10000 * 0x10000L; at + 0x10000 < length; at += 0x80000)
            await file.WriteAsync(at, VhdxImages.Bytes(1), CancellationToken.None);
        return file;
    }

    private static void PutGroup(Span<byte> descriptor, int bitmap, int free, int flags)
    {
        Put(descriptor, 0, 4, bitmap);
        Put(descriptor, 4, 4, bitmap + 1);
        Put(descriptor, 8, 4, bitmap + 2);
        Put(descriptor, 12, 2, free);
        Put(descriptor, 18, 2, flags);
    }
}
