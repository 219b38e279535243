namespace Godwit.Storage.Partitions;

/// <summary>Where the fields of a GPT header and of an entry are (UEFI specification 5.3.2 and 5.3.3). Little endian.</summary>
internal static class GptLayout
{
    public const int HeaderSize = 12;
    public const int HeaderCrc = 16;
    public const int MyLba = 24;
    public const int AlternateLba = 32;
    public const int FirstUsable = 40;
    public const int LastUsable = 48;
    public const int DiskId = 56;
    public const int EntriesLba = 72;
    public const int EntryCount = 80;
    public const int EntrySize = 84;
    public const int EntriesCrc = 88;

    /// <summary>Smallest header.</summary>
    public const int MinHeader = 92;

    /// <summary>Smallest entry; every entry is 128 times a power of two.</summary>
    public const int MinEntry = 128;

    /// <summary>Entries are not read beyond this: 16 KiB are usual, the specification sets no limit.</summary>
    public const int MaxEntriesLength = 1 << 20;

    public const int EntryFirst = 32;
    public const int EntryLast = 40;
    public const int EntryName = 56;
    public const int EntryNameLength = 72;
}
