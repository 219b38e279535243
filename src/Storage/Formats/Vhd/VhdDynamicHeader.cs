using System.Buffers.Binary;
using System.Text;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>What a dynamic or differencing disk has beyond its footer.</summary>
/// <remarks>VHD specification 1.0, "Dynamic Disk Header Format". Fields nobody here knows are kept as they were.</remarks>
internal sealed class VhdDynamicHeader
{
    private const int TableOffsetAt = 16;
    private const int EntriesAt = 28;
    private const int BlockSizeAt = 32;
    private const int ChecksumAt = 36;
    private const int ParentIdAt = 40;
    private const int ParentStampAt = 56;
    private const int ParentNameAt = 64;
    private const int ParentNameLength = 512;
    private const int LocatorsAt = 576;
    private readonly byte[] _bytes;

    private VhdDynamicHeader(byte[] bytes) => _bytes = bytes;

    public ulong TableOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(TableOffsetAt));

    public uint MaxEntries => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(EntriesAt));

    public uint BlockSize => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(BlockSizeAt));

    public Guid ParentId => new(_bytes.AsSpan(ParentIdAt, 16), bigEndian: true);

    public uint ParentStamp => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(ParentStampAt));

    /// <summary>The parent's file name; some writers put a whole path here.</summary>
    public string ParentName
    {
        get
        {
            var text = Encoding.BigEndianUnicode.GetString(_bytes.AsSpan(ParentNameAt, ParentNameLength));
            var end = text.IndexOf('\0', StringComparison.Ordinal);
            return end < 0 ? text : text[..end];
        }
    }

    public static VhdDynamicHeader Create(long tableOffset, long entries, int blockSize)
    {
        var bytes = new byte[VhdFormat.HeaderLength];
        VhdFormat.HeaderCookie.CopyTo(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), VhdFormat.NoOffset);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(TableOffsetAt), tableOffset);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(24), VhdFormat.Version);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(EntriesAt), (uint)entries);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(BlockSizeAt), blockSize);
        return Sealed(bytes);
    }

    /// <summary>Reads and checks the header by itself; whether it fits the file is the layout's to say.</summary>
    /// <exception cref="StorageException">Corrupt or Unsupported, naming the field.</exception>
    public static async ValueTask<VhdDynamicHeader> ReadAsync(IStorageFile file, VhdFooter footer, CancellationToken cancellationToken)
    {
        var at = footer.DataOffset;
        if (at % VhdFormat.Sector != 0 || file.Length < VhdFormat.HeaderLength || at > (ulong)(file.Length - VhdFormat.HeaderLength))
        {
            throw Corrupt(file, null,
                $"the footer puts the dynamic header at {at}, which is no sector of this file of {file.Length} bytes");
        }

        var bytes = new byte[VhdFormat.HeaderLength];
        await file.ReadAsync((long)at, bytes, cancellationToken).ConfigureAwait(false);
        var header = new VhdDynamicHeader(bytes);
        header.Check(file, (long)at);
        return header;
    }

    /// <summary>The header these bytes are when signature, version and checksum are put right and it has such a table. What they say
    /// about a parent is kept only where there is one.</summary>
    public static VhdDynamicHeader Mended(ReadOnlySpan<byte> found, bool hasParent, long tableOffset, long entries, int blockSize)
    {
        var bytes = Create(tableOffset, entries, blockSize).ToBytes();
        if (hasParent)
            found[ParentIdAt..VhdFormat.HeaderLength].CopyTo(bytes.AsSpan(ParentIdAt));
        return Sealed(bytes);
    }

    /// <summary>What these bytes say about the table, whatever their checksum: offset, entries and block size.</summary>
    public static (ulong TableOffset, uint Entries, uint BlockSize) Peek(ReadOnlySpan<byte> found) => (
        BinaryPrimitives.ReadUInt64BigEndian(found[TableOffsetAt..]),
        BinaryPrimitives.ReadUInt32BigEndian(found[EntriesAt..]),
        BinaryPrimitives.ReadUInt32BigEndian(found[BlockSizeAt..]));

    public byte[] ToBytes() => [.. _bytes];

    public VhdLocator Locator(int index) => VhdLocator.Read(_bytes.AsSpan(LocatorsAt + (index * VhdLocator.EntryLength)));

    /// <summary>The same with more entries of the table.</summary>
    public VhdDynamicHeader WithTable(long offset, long entries)
    {
        var bytes = ToBytes();
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(TableOffsetAt), offset);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(EntriesAt), (uint)entries);
        return Sealed(bytes);
    }

    /// <summary>The same with another parent.</summary>
    public VhdDynamicHeader WithParent(Guid id, uint stamp, string name, IReadOnlyList<VhdLocator> locators)
    {
        var bytes = ToBytes();
        id.TryWriteBytes(bytes.AsSpan(ParentIdAt), bigEndian: true, out _);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(ParentStampAt), stamp);
        var nameBytes = bytes.AsSpan(ParentNameAt, ParentNameLength);
        nameBytes.Clear();
        Encoding.BigEndianUnicode.GetBytes(name, nameBytes);
        bytes.AsSpan(LocatorsAt, VhdFormat.LocatorCount * VhdLocator.EntryLength).Clear();
        for (var index = 0; index < locators.Count; index++)
            locators[index].Write(bytes.AsSpan(LocatorsAt + (index * VhdLocator.EntryLength)));
        return Sealed(bytes);
    }

    /// <summary>Whether a name fits in the header.</summary>
    public static bool Fits(string name) => name.Length <= ParentNameLength / sizeof(char);

    private void Check(IStorageFile file, long at)
    {
        if (!_bytes.AsSpan().StartsWith(VhdFormat.HeaderCookie))
            throw Corrupt(file, at, "the dynamic header is not where the footer says: \"cxsparse\" is missing");
        var stored = BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(ChecksumAt));
        var expected = VhdFormat.Checksum(_bytes, ChecksumAt);
        if (stored != expected)
            throw Corrupt(file, at + ChecksumAt, $"the dynamic header's checksum is {stored:x8}, its bytes add up to {expected:x8}");
        var version = BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(24));
        if (version >> 16 != VhdFormat.Version >> 16)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"the dynamic header's version is {version:x8}, expected {VhdFormat.Version:x8}", file.Path, at + 24, "open");
        }

        if (!VhdFormat.IsPowerOfTwo(BlockSize) || BlockSize is < VhdFormat.Sector or > VhdFormat.MaxBlockSize)
            throw Corrupt(file, at + BlockSizeAt, $"the block size {BlockSize} is not a power of two from 512 bytes to 256 MiB");
        if (TableOffset % VhdFormat.Sector != 0 || TableOffset >= (ulong)file.Length)
            throw Corrupt(file, at + TableOffsetAt, $"the block table is said to be at {TableOffset}, which is no sector of this file of {file.Length} bytes");
    }

    private static StorageException Corrupt(IStorageFile file, long? offset, string reason) =>
        new(StorageErrorKind.Corrupt, reason, file.Path, offset, "open");

    private static VhdDynamicHeader Sealed(byte[] bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(ChecksumAt), VhdFormat.Checksum(bytes, ChecksumAt));
        return new VhdDynamicHeader(bytes);
    }
}
