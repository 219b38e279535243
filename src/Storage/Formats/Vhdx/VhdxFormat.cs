namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Numbers and identifiers of the file format.</summary>
/// <remarks>[MS-VHDX] section 2.</remarks>
internal static class VhdxFormat
{
    public const long MiB = 1L << 20;

    /// <summary>Everything in the log is in pieces of this size.</summary>
    public const int PageSize = 4096;

    public const long HeaderSectionEnd = MiB;
    public const int IdentifierLength = 8 + 512;
    public const long FirstHeaderOffset = 64 << 10;
    public const long SecondHeaderOffset = 128 << 10;
    public const long FirstRegionTableOffset = 192 << 10;
    public const long SecondRegionTableOffset = 256 << 10;
    public const int RegionTableLength = 64 << 10;
    public const int MaxRegions = 2047;

    public const int MetadataTableLength = 64 << 10;
    public const int MaxMetadataItems = 2047;
    public const int MaxUserMetadataItems = 1024;
    public const int MaxMetadataItemLength = 1 << 20;

    public const long MaxDiskSize = 64L << 40;
    public const int MinBlockSize = 1 << 20;
    public const int MaxBlockSize = 256 << 20;
    public const long SectorsPerBitmapBlock = 1L << 23;

    /// <summary>No sound file is longer: a full disk, its bitmaps and tables need a little more than 64 TiB, the rest is slack.
    /// Keeps a hostile number from growing a file to the file system's limit.</summary>
    public const long MaxFileLength = 256L << 40;

    public const uint HeaderSignature = 0x64616568;
    public const uint RegionTableSignature = 0x69676572;
    public const uint LogEntrySignature = 0x65676F6C;
    public const uint ZeroDescriptorSignature = 0x6F72657A;
    public const uint DataDescriptorSignature = 0x63736564;
    public const uint DataSectorSignature = 0x61746164;

    /// <summary>"vhdxfile", the first bytes of every VHDX.</summary>
    public static ReadOnlySpan<byte> FileSignature => "vhdxfile"u8;

    public static ReadOnlySpan<byte> MetadataSignature => "metadata"u8;

    public static Guid BatRegion { get; } = new("2dc27766-f623-4200-9d64-115e9bfd4a08");

    public static Guid MetadataRegion { get; } = new("8b7ca206-4790-4b9a-b8fe-575f050f886e");

    public static Guid FileParametersItem { get; } = new("caa16737-fa36-4d43-b3b6-33f0aa44e76b");

    public static Guid VirtualDiskSizeItem { get; } = new("2fa54224-cd1b-4876-b211-5dbed83bf4b8");

    public static Guid VirtualDiskIdItem { get; } = new("beca12ab-b2e6-4523-93ef-c309e000c746");

    public static Guid LogicalSectorSizeItem { get; } = new("8141bf1d-a96f-4709-ba47-f233a8faab5f");

    public static Guid PhysicalSectorSizeItem { get; } = new("cda348c7-445d-4471-9cc9-e9885251c556");

    public static Guid ParentLocatorItem { get; } = new("a8d35f2d-b30b-454d-abf7-d3d84834ab0c");

    public static long AlignUp(long value, long alignment) => (value + alignment - 1) / alignment * alignment;

    public static long AlignDown(long value, long alignment) => value / alignment * alignment;

    public static bool IsPowerOfTwoBetween(long value, long low, long high) =>
        value >= low && value <= high && (value & (value - 1)) == 0;
}
