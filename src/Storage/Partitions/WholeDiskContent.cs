using System.Buffers.Binary;

namespace Godwit.Storage.Partitions;

/// <summary>Recognizes what may fill a disk without a partition table. Only the marks are looked at.</summary>
internal static class WholeDiskContent
{
    /// <summary>Bytes of the start of a disk in which all marks are.</summary>
    public const int HeadLength = 68 << 10;

    /// <summary>The file system whose boot sector this is; such a sector ends with the mark of a partition table too.</summary>
    /// <param name="head">The start of the disk, 512 bytes or more.</param>
    public static string? FromBootSector(ReadOnlySpan<byte> head) => head[3..] switch
    {
        var name when name.StartsWith("NTFS    "u8) => "NTFS",
        var name when name.StartsWith("EXFAT   "u8) => "exFAT",
        var name when name.StartsWith("ReFS\0\0\0\0"u8) => "ReFS",
        _ when head[82..].StartsWith("FAT32   "u8) => "FAT32",
        _ when head[54..].StartsWith("FAT1"u8) => "FAT",
        _ => null,
    };

    /// <summary>What the disk holds as a whole; null when nothing is recognized.</summary>
    /// <param name="head">The start of the disk, <see cref="HeadLength"/> bytes or the whole disk.</param>
    public static string? Recognize(ReadOnlySpan<byte> head)
    {
        if (FromBootSector(head) is string name)
            return name;
        if (head.StartsWith("XFSB"u8))
            return "XFS";
        if (head.StartsWith((ReadOnlySpan<byte>)[(byte)'L', (byte)'U', (byte)'K', (byte)'S', 0xba, 0xbe]))
            return "LUKS";
        if (head.Length >= 1082 && BinaryPrimitives.ReadUInt16LittleEndian(head[1080..]) == 0xEF53)
            return "ext2, ext3 or ext4";
        for (var sector = 0; sector < 4; sector++)
        {
            if (At(head, sector * 512, "LABELONE"u8))
                return "LVM physical volume";
        }

        if (At(head, 4086, "SWAPSPACE2"u8))
            return "Linux swap";
        if (At(head, 32769, "CD001"u8))
            return "ISO 9660";
        return At(head, 65600, "_BHRfS_M"u8) ? "Btrfs" : null;
    }

    private static bool At(ReadOnlySpan<byte> head, int offset, ReadOnlySpan<byte> mark) =>
        head.Length >= offset + mark.Length && head[offset..].StartsWith(mark);
}
