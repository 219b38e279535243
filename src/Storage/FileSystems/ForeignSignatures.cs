using System.Buffers.Binary;

namespace Godwit.Storage.FileSystems;

/// <summary>Recognizes what may stand in a partition beside the remains of an older file system. Where one of these is found nothing is
/// taken for free, whatever else the partition looks like.</summary>
internal static class ForeignSignatures
{
    private const uint RaidMagic = 0xa92b4efc;

    private static readonly (string Name, long Offset, byte[] Bytes)[] Known =
    [
        ("LUKS", 0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]),
        ("LUKS", 16384, [0x53, 0x4b, 0x55, 0x4c, 0xba, 0xbe]),
        ("LVM", 0, "LABELONE"u8.ToArray()),
        ("LVM", 512, "LABELONE"u8.ToArray()),
        ("LVM", 1024, "LABELONE"u8.ToArray()),
        ("LVM", 1536, "LABELONE"u8.ToArray()),
        ("BitLocker", 3, "-FVE-FS-"u8.ToArray()),
        ("ReFS", 3, "ReFS\0"u8.ToArray()),
        ("XFS", 0, "XFSB"u8.ToArray()),
        ("Btrfs", 0x10040, "_BHRfS_M"u8.ToArray()),
        ("bcachefs or bcache", 4096 + 24, [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca]),
        ("bcachefs", 4096 + 24, [0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9]),
        ("F2FS", 1024, Little(0xf2f52010u)),
        ("JFS", 0x8000, "JFS1"u8.ToArray()),
        ("ReiserFS", 0x10034, "ReIsEr"u8.ToArray()),
        ("HFS+", 1024, [0x48, 0x2b, 0x00, 0x04]),
        ("HFS+", 1024, [0x48, 0x58, 0x00, 0x05]),
        ("APFS", 32, "NXSB"u8.ToArray()),
        ("swap", 4086, "SWAPSPACE2"u8.ToArray()),
        ("swap", 4086, "SWAP-SPACE"u8.ToArray()),
        ("ISO 9660", 0x8001, "CD001"u8.ToArray()),
        ("SquashFS", 0, "hsqs"u8.ToArray()),
        ("Ceph", 0, "bluestore block device"u8.ToArray()),
        ("Linux RAID", 0, Little(RaidMagic)),
        ("Linux RAID", 4096, Little(RaidMagic)),
    ];

    /// <summary>The first thing found, or null.</summary>
    public static async ValueTask<string?> FindAsync(PartitionReader reader, CancellationToken cancellationToken)
    {
        foreach (var (name, offset, bytes) in Known)
        {
            if (await reader.HasAsync(offset, bytes, cancellationToken).ConfigureAwait(false))
                return name;
        }

        // Old members of a Linux RAID have their mark near the end, in whole 64 KiB or 4 KiB.
        foreach (var offset in new[] { (reader.Length & -65536) - 65536, (reader.Length - 8192) & -4096 })
        {
            if (await reader.HasAsync(offset, Little(RaidMagic), cancellationToken).ConfigureAwait(false))
                return "Linux RAID";
        }

        return await HasZfsLabelAsync(reader, cancellationToken).ConfigureAwait(false) ? "ZFS" : null;
    }

    public static byte[] Little(uint value)
    {
        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] Little(ushort value) => [(byte)value, (byte)(value >> 8)];

    /// <summary>The uberblocks of a ZFS label are 1 KiB each from 128 KiB on.</summary>
    private static async ValueTask<bool> HasZfsLabelAsync(PartitionReader reader, CancellationToken cancellationToken)
    {
        const int Start = 128 << 10;
        if (reader.Length < 2 * Start)
            return false;
        var ring = await reader.ReadAsync(Start, Start, cancellationToken).ConfigureAwait(false);
        for (var at = 0; at < ring.Length; at += 1024)
        {
            if (PartitionReader.U64(ring, at) == 0x00bab10c)
                return true;
        }

        return false;
    }
}
