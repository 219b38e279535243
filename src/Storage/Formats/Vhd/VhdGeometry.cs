namespace Godwit.Storage.Formats.Vhd;

/// <summary>Cylinders, heads and sectors per track: what a VHD tells old guests about its size.</summary>
/// <remarks>VHD specification 1.0, appendix "CHS Calculation". The product is rounded down, so it may be smaller than the disk.</remarks>
internal readonly record struct VhdGeometry(ushort Cylinders, byte Heads, byte SectorsPerTrack)
{
    private const long MaxSectors = 65535L * 16 * 255;

    /// <summary>The geometry says "as large as can be said", so the size must come from elsewhere.</summary>
    public bool IsMaximum => Cylinders == 65535 && Heads == 16 && SectorsPerTrack == 255;

    /// <summary>Bytes the geometry addresses.</summary>
    public long Size => (long)Cylinders * Heads * SectorsPerTrack * VhdFormat.Sector;

    /// <summary>The geometry of a disk of that many bytes.</summary>
    public static VhdGeometry For(long size)
    {
        var sectors = Math.Min(size / VhdFormat.Sector, MaxSectors);
        if (sectors >= 65535L * 16 * 63)
            return Of(sectors, 16, 255);

        // From the oldest BIOS limit upwards, until the cylinders fit in 10 bits.
        var tracks = sectors / 17;
        var heads = Math.Max(4, (tracks + 1023) / 1024);
        if (tracks < heads * 1024 && heads <= 16)
            return Of(sectors, heads, 17);
        return sectors / 31 < 16 * 1024 ? Of(sectors, 16, 31) : Of(sectors, 16, 63);
    }

    private static VhdGeometry Of(long sectors, long heads, long perTrack) =>
        new((ushort)(sectors / perTrack / heads), (byte)heads, (byte)perTrack);
}
