namespace Godwit.Storage.Formats.Vhd;

/// <summary>Numbers of the file format.</summary>
/// <remarks>VHD specification 1.0. All numbers in the file are big endian.</remarks>
internal static class VhdFormat
{
    public const int Sector = 512;
    public const int FooterLength = 512;

    /// <summary>Old versions of Virtual PC wrote a footer one byte short.</summary>
    public const int ShortFooterLength = 511;

    public const int HeaderLength = 1024;
    public const int LocatorCount = 8;
    public const uint Version = 0x00010000;
    public const ulong NoOffset = ulong.MaxValue;

    /// <summary>2,040 GiB: what Windows and QEMU take as the largest disk.</summary>
    public const long MaxDiskSize = 0xff000000L * Sector;

    /// <summary>The table's sector numbers have 32 bits, and the highest one means "no place".</summary>
    public const long MaxFileLength = 0xffffffffL * Sector;

    public const int DefaultBlockSize = 2 << 20;
    public const int MaxBlockSize = 256 << 20;

    /// <summary>Bounds what a hostile table can make us allocate.</summary>
    public const int MaxTableLength = 64 << 20;

    /// <summary>No path is longer; bounds what a hostile locator can make us read.</summary>
    public const int MaxLocatorLength = 64 << 10;

    public static ReadOnlySpan<byte> FooterCookie => "conectix"u8;

    public static ReadOnlySpan<byte> HeaderCookie => "cxsparse"u8;

    /// <summary>Time stamps count seconds from here.</summary>
    public static DateTimeOffset Epoch { get; } = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static long AlignUp(long value, long alignment) => (value + alignment - 1) / alignment * alignment;

    public static bool IsPowerOfTwo(long value) => value > 0 && (value & (value - 1)) == 0;

    /// <summary>The one's complement of the sum of all bytes, the checksum itself taken as zero.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes, int checksumOffset)
    {
        uint sum = 0;
        for (var at = 0; at < bytes.Length; at++)
        {
            if (at < checksumOffset || at >= checksumOffset + sizeof(uint))
                sum += bytes[at];
        }

        return ~sum;
    }
}
