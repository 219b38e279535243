namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What a single entry of the table may say.</summary>
/// <remarks>[MS-VHDX] section 2.5.1.</remarks>
internal static class BatEntryRules
{
    /// <summary>Why a disk with this entry must not be used, or null.</summary>
    public static string? ProblemOf(VhdxGeometry geometry, long index, BatEntry entry, long fileLength)
    {
        if (geometry.IsBitmapEntry(index))
            return ProblemOfBitmap(geometry, index, entry, fileLength);
        if (geometry.IsBehindEnd(index))
            return null;
        var isAllowed = entry.State is BlockState.NotPresent or BlockState.Undefined or BlockState.Zero or BlockState.Unmapped
            or BlockState.UnmappedInDrafts or BlockState.FullyPresent || (entry.State == BlockState.PartiallyPresent && geometry.HasParent);
        var block = geometry.BlockOf(index);
        if (!isAllowed)
            return $"block {block} has state {(int)entry.State}, which a disk {(geometry.HasParent ? "with" : "without")} parent must not have";
        return entry.IsPresent ? ProblemOfPlace(NameOf(geometry, index), entry, geometry.UsedLength(block), geometry.BlockSize, fileLength) : null;
    }

    /// <summary>How many bytes of the file the entry owns; 0 for none.</summary>
    public static long OwnedLength(VhdxGeometry geometry, long index, BatEntry entry)
    {
        if (geometry.IsBitmapEntry(index))
            return geometry.HasParent && entry.State == BlockState.FullyPresent ? VhdxFormat.MiB : 0;
        return entry.IsPresent && !geometry.IsBehindEnd(index) ? geometry.BlockSize : 0;
    }

    /// <summary>What an entry is for, in words.</summary>
    public static string NameOf(VhdxGeometry geometry, long index) => geometry.IsBitmapEntry(index)
        ? $"the sector bitmap of chunk {index / (geometry.ChunkRatio + 1)}"
        : $"block {geometry.BlockOf(index)}";

    private static string? ProblemOfBitmap(VhdxGeometry geometry, long index, BatEntry entry, long fileLength)
    {
        if (!geometry.HasParent || entry.State == BlockState.NotPresent)
            return null;
        return entry.State == BlockState.FullyPresent
            ? ProblemOfPlace(NameOf(geometry, index), entry, VhdxFormat.MiB, VhdxFormat.MiB, fileLength)
            : $"{NameOf(geometry, index)} has state {(int)entry.State}; only 0 and 6 are allowed";
    }

    private static string? ProblemOfPlace(string name, BatEntry entry, long needed, long length, long fileLength)
    {
        if (entry.RawOffset < (ulong)VhdxFormat.HeaderSectionEnd)
            return $"{name} is at {entry.RawOffset}, inside the header section";
        if (entry.RawOffset > long.MaxValue || entry.Offset > fileLength - needed)
            return $"{name} ({needed} bytes at {entry.RawOffset}) reaches past the end of the file at {fileLength}";
        return entry.Offset > VhdxFormat.MaxFileLength - length
            ? $"{name} is at {entry.RawOffset}; no sound file is longer than {VhdxFormat.MaxFileLength} bytes"
            : null;
    }
}
