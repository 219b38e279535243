using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>One record of the master file table: finds attributes in it.</summary>
/// <param name="bytes">The record, with its sectors' ends put right.</param>
/// <param name="number">Which one, for messages.</param>
internal sealed class NtfsRecord(byte[] bytes, long number)
{
    private const int SectorSize = 512;

    /// <summary>Puts the last two bytes of every 512 right, which a multi-sector record keeps elsewhere, and checks them.</summary>
    /// <exception cref="UnusableFileSystemException">The mark is another one, or the record was torn.</exception>
    public static byte[] Repaired(byte[] bytes, ReadOnlySpan<byte> mark, string what)
    {
        int at = U16(bytes, 4), count = U16(bytes, 6);
        if (!bytes.AsSpan().StartsWith(mark) || count != (bytes.Length / SectorSize) + 1 || at < 8 || at + (count * 2) > SectorSize - 2)
            throw new UnusableFileSystemException($"{what} is damaged");
        for (var sector = 1; sector < count; sector++)
        {
            var end = (sector * SectorSize) - 2;
            if (bytes[end] != bytes[at] || bytes[end + 1] != bytes[at + 1])
                throw new UnusableFileSystemException($"{what} is torn");
            bytes[end] = bytes[at + (sector * 2)];
            bytes[end + 1] = bytes[at + (sector * 2) + 1];
        }

        return bytes;
    }

    /// <summary>Whether the record has an attribute of a type.</summary>
    public bool Has(uint type, int nameLength = 0) => !TryFind(type, nameLength).IsEmpty;

    /// <summary>Whether an attribute's value lies in the record itself.</summary>
    public bool IsResident(uint type, int nameLength = 0) => Find(type, nameLength)[8] == 0;

    /// <summary>The value of an attribute that lies in the record itself.</summary>
    /// <exception cref="UnusableFileSystemException">There is none.</exception>
    public ReadOnlySpan<byte> ValueOf(uint type, int nameLength = 0)
    {
        var attribute = Find(type, nameLength);
        if (attribute[8] != 0 || attribute.Length < 24 || U16(attribute, 20) > attribute.Length || U32(attribute, 16) > attribute.Length - U16(attribute, 20))
            throw Damaged(type);
        return attribute.Slice(U16(attribute, 20), (int)U32(attribute, 16));
    }

    /// <summary>The clusters of an attribute that lies outside the record.</summary>
    /// <exception cref="UnusableFileSystemException">There is none, or it is compressed, encrypted, or does not start here.</exception>
    public NtfsRuns RunsOf(uint type, long clusterCount, int nameLength = 0)
    {
        var attribute = Find(type, nameLength);
        if (attribute[8] == 0 || attribute.Length < 64 || U16(attribute, 12) != 0 || U64(attribute, 16) != 0 || U16(attribute, 32) is var pairs && pairs > attribute.Length)
            throw Damaged(type);
        return NtfsRuns.Parse(attribute[U16(attribute, 32)..], clusterCount, U64(attribute, 56));
    }

    private ReadOnlySpan<byte> Find(uint type, int nameLength)
    {
        var attribute = TryFind(type, nameLength);
        return attribute.IsEmpty ? throw Damaged(type) : attribute;
    }

    private ReadOnlySpan<byte> TryFind(uint type, int nameLength)
    {
        const uint End = uint.MaxValue;
        for (int at = U16(bytes, 20); at >= 24 && at <= bytes.Length - 16 && U32(bytes, at) != End;)
        {
            var length = U32(bytes, at + 4);
            if (length < 24 || length > bytes.Length - at)
                break;
            if (U32(bytes, at) == type && bytes[at + 9] == nameLength)
                return bytes.AsSpan(at, (int)length);
            at += (int)length;
        }

        return default;
    }

    private UnusableFileSystemException Damaged(uint type) =>
        new($"record {number} of its master file table has no usable attribute 0x{type:x}");
}
