using System.Buffers.Binary;
using System.Text;

namespace Godwit.Testing.Guest;

/// <summary>Disks and discs whose program says a word on the first serial port, to tell what a guest was booted from.</summary>
public static class BootImages
{
    private const int Sector = 512;
    private const int DiscSector = 2048;
    private const int BootRecord = 17;
    private const int Catalog = 19;
    private const int Program = 20;

    /// <summary>A raw disk with a boot sector.</summary>
    /// <param name="path">The file.</param>
    /// <param name="word">What it says, followed by a new line.</param>
    public static void WriteDisk(string path, string word)
    {
        // SeaBIOS takes a disk without a whole cylinder for no disk.
        var disk = new byte[2 << 20];
        Speaker(word).CopyTo(disk, 0);
        File.WriteAllBytes(path, disk);
    }

    /// <summary>A disc that boots without emulation. Source: "El Torito" Bootable CD-ROM Format Specification 1.0.</summary>
    /// <param name="path">The file.</param>
    /// <param name="word">What it says, followed by a new line.</param>
    public static void WriteDisc(string path, string word)
    {
        var disc = new byte[32 * DiscSector];
        "\u0001CD001\u0001"u8.CopyTo(disc.AsSpan(16 * DiscSector));
        var record = disc.AsSpan(BootRecord * DiscSector);
        "\0CD001\u0001EL TORITO SPECIFICATION"u8.CopyTo(record);
        BinaryPrimitives.WriteInt32LittleEndian(record[0x47..], Catalog);
        var catalog = disc.AsSpan(Catalog * DiscSector);
        (catalog[0], catalog[0x1E], catalog[0x1F]) = (1, 0x55, 0xAA);
        // The words of the first entry add up to zero.
        BinaryPrimitives.WriteUInt16LittleEndian(catalog[0x1C..], unchecked((ushort)-(0x0001 + 0xAA55)));
        catalog[0x20] = 0x88;
        BinaryPrimitives.WriteUInt16LittleEndian(catalog[0x26..], 4);
        BinaryPrimitives.WriteInt32LittleEndian(catalog[0x28..], Program);
        Speaker(word).CopyTo(disc, Program * DiscSector);
        File.WriteAllBytes(path, disc);
    }

    private static byte[] Speaker(string word)
    {
        var code = new List<byte> { 0xBA, 0xF8, 0x03 }; // mov dx, 0x3F8
        foreach (var letter in Encoding.ASCII.GetBytes(word + "\n"))
            code.AddRange([0xB0, letter, 0xEE]); // mov al, letter; out dx, al
        code.AddRange([0xF4, 0xEB, 0xFD]); // hlt; jmp to it
        var sector = new byte[Sector];
        code.CopyTo(sector);
        (sector[510], sector[511]) = (0x55, 0xAA);
        return sector;
    }
}
