using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The list of metadata items: where each is, and whether a reader must know it.</summary>
/// <remarks>[MS-VHDX] section 2.6.1.</remarks>
internal sealed class VhdxMetadataTable
{
    private const int EntryLength = 32;
    private const uint KnownFlags = VhdxMetadataItem.UserFlag | VhdxMetadataItem.VirtualDiskFlag | VhdxMetadataItem.RequiredFlag;

    // Nobody puts as much there; bounds what a hostile table can make us read.
    private const long MaxTotal = 16 << 20;

    private readonly IStorageFile _file;
    private readonly VhdxRegion _region;
    private readonly List<Item> _items = [];

    /// <summary>Parses the table and checks every entry.</summary>
    public VhdxMetadataTable(IStorageFile file, VhdxRegion region, ReadOnlySpan<byte> table)
    {
        _file = file;
        _region = region;
        if (!table.StartsWith(VhdxFormat.MetadataSignature))
            throw Corrupt("the signature \"metadata\" is missing");
        var count = BinaryPrimitives.ReadUInt16LittleEndian(table[10..]);
        if (count > VhdxFormat.MaxMetadataItems)
            throw Corrupt($"{count} metadata items, more than {VhdxFormat.MaxMetadataItems}");
        var seen = new HashSet<(Guid, bool)>();
        for (var index = 0; index < count; index++)
        {
            var item = Parse(table.Slice((index + 1) * EntryLength, EntryLength));
            if (!seen.Add((item.Id, item.IsUser)))
                throw Corrupt($"the metadata item {item.Id} is listed twice");
            _items.Add(item);
        }

        if (_items.FindAll(static item => item.IsUser).Count is > VhdxFormat.MaxUserMetadataItems and var users)
            throw Corrupt($"{users} metadata items are the user's, more than {VhdxFormat.MaxUserMetadataItems}");
        CheckApart();
    }

    /// <summary>Reads the first bytes of a system item that must be there.</summary>
    public async ValueTask<byte[]> ReadAsync(Guid id, string name, int length, CancellationToken cancellationToken)
    {
        var item = Find(id) ?? throw Corrupt($"the metadata item \"{name}\" ({id}) is missing");
        if (item.Length < length)
            throw Corrupt($"the metadata item \"{name}\" has {item.Length} bytes instead of {length}");
        var bytes = new byte[length];
        await _file.ReadAsync(_region.Offset + item.Offset, bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    /// <summary>Reads all of a system item that must be there.</summary>
    public ValueTask<byte[]> ReadWholeAsync(Guid id, string name, CancellationToken cancellationToken) =>
        ReadAsync(id, name, (int)(Find(id)?.Length ?? 0), cancellationToken);

    /// <summary>Reads every item.</summary>
    /// <exception cref="StorageException">Unsupported: more than 16 MiB; or the file failed.</exception>
    public async ValueTask<IReadOnlyList<VhdxMetadataItem>> ReadAllAsync(CancellationToken cancellationToken)
    {
        if (_items.Sum(static item => item.Length) is > MaxTotal and var total)
            throw Unsupported($"the metadata items have {total} bytes, more than this version takes along");
        var found = new List<VhdxMetadataItem>();
        foreach (var item in _items)
        {
            var bytes = new byte[item.Length];
            if (bytes.Length > 0)
                await _file.ReadAsync(_region.Offset + item.Offset, bytes, cancellationToken).ConfigureAwait(false);
            found.Add(new VhdxMetadataItem(item.Id, item.Flags, bytes));
        }

        return found;
    }

    /// <summary>Reads the items that belong to the virtual disk and are not known here.</summary>
    public async ValueTask<IReadOnlyList<VhdxMetadataItem>> ReadOfVirtualDiskAsync(CancellationToken cancellationToken)
    {
        var all = await ReadAllAsync(cancellationToken).ConfigureAwait(false);
        return [.. all.Where(static item => item is { IsVirtualDisk: true, IsForeign: true })];
    }

    /// <summary>A region's table and items, as for a new file.</summary>
    public static byte[] ToBytes(IReadOnlyCollection<VhdxMetadataItem> items)
    {
        var bytes = new byte[VhdxFormat.MetadataTableLength + items.Sum(static item => item.Bytes.Length)];
        VhdxFormat.MetadataSignature.CopyTo(bytes);
        var writer = new Writer(bytes);
        foreach (var item in items)
            writer.Add(item);
        return bytes;
    }

    /// <summary>Where in the file the table's line about an item starts, and the line as it must be for another content.</summary>
    /// <param name="id">A system item that is there.</param>
    /// <param name="offset">Where in the file the new content is.</param>
    /// <param name="length">Bytes of it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask<(long Offset, byte[] Line)> MovedAsync(Guid id, long offset, int length, CancellationToken cancellationToken)
    {
        var index = _items.FindIndex(item => item.Id == id && !item.IsUser);
        var at = _region.Offset + ((index + 1) * EntryLength);
        var line = new byte[EntryLength];
        await _file.ReadAsync(at, line, cancellationToken).ConfigureAwait(false);
        BinaryPrimitives.WriteUInt32LittleEndian(line.AsSpan(16), (uint)(offset - _region.Offset));
        BinaryPrimitives.WriteInt32LittleEndian(line.AsSpan(20), length);
        return (at, line);
    }

    /// <summary>Where in the file so many bytes of the region belong to no item; null when there is no such place.</summary>
    public long? FindRoom(int length)
    {
        var sorted = new List<Item>(_items);
        sorted.RemoveAll(static item => item.Length == 0);
        sorted.Sort(static (a, b) => a.Offset.CompareTo(b.Offset));
        long start = VhdxFormat.MetadataTableLength;
        foreach (var item in sorted)
        {
            if (item.Offset - start >= length)
                break;
            start = VhdxFormat.AlignUp(item.End, sizeof(ulong));
        }

        var end = sorted.Find(item => item.Offset >= start) is { Length: > 0 } next ? next.Offset : _region.Length;
        return end - start >= length ? _region.Offset + start : null;
    }

    /// <summary>Where in the file an item that was read before starts.</summary>
    public long OffsetOf(Guid id) => _region.Offset + Find(id)!.Value.Offset;

    public StorageException Corrupt(string reason) => new(StorageErrorKind.Corrupt, reason, _file.Path, _region.Offset, "open");

    public StorageException Unsupported(string reason) => new(StorageErrorKind.Unsupported, reason, _file.Path, _region.Offset, "open");

    /// <summary>A system item that this version understands.</summary>
    public static bool IsKnown(Guid id) =>
        id == VhdxFormat.FileParametersItem || id == VhdxFormat.VirtualDiskSizeItem || id == VhdxFormat.VirtualDiskIdItem
        || id == VhdxFormat.LogicalSectorSizeItem || id == VhdxFormat.PhysicalSectorSizeItem || id == VhdxFormat.ParentLocatorItem;

    private Item Parse(ReadOnlySpan<byte> entry)
    {
        var flags = BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]);
        var item = new Item(
            new Guid(entry[..16]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]),
            flags & KnownFlags);
        if ((flags & VhdxMetadataItem.RequiredFlag) != 0 && (item.IsUser || !IsKnown(item.Id)))
            throw Unsupported($"the file needs a metadata item this version does not know ({item.Id})");
        if (item.Length > VhdxFormat.MaxMetadataItemLength)
            throw Corrupt($"the metadata item {item.Id} has {item.Length} bytes, more than 1 MiB");
        if (item.Length > 0 && (item.Offset < VhdxFormat.MetadataTableLength || item.End > _region.Length))
            throw Corrupt($"the metadata item {item.Id} ({item.Length} bytes at {item.Offset}) is not inside the region's {_region.Length} bytes");
        return item;
    }

    private void CheckApart()
    {
        var sorted = new List<Item>(_items);
        sorted.RemoveAll(static item => item.Length == 0);
        sorted.Sort(static (a, b) => a.Offset.CompareTo(b.Offset));
        for (var index = 1; index < sorted.Count; index++)
        {
            if (sorted[index].Offset < sorted[index - 1].End)
                throw Corrupt($"the metadata items {sorted[index - 1].Id} and {sorted[index].Id} overlap");
        }
    }

    private Item? Find(Guid id)
    {
        foreach (var item in _items)
        {
            if (item.Id == id && !item.IsUser)
                return item;
        }

        return null;
    }

    private readonly record struct Item(Guid Id, long Offset, long Length, uint Flags)
    {
        public bool IsUser => (Flags & VhdxMetadataItem.UserFlag) != 0;

        public long End => Offset + Length;
    }

    /// <summary>Lays out the items of a new file.</summary>
    /// <param name="region">Zeroed, with the signature in place; table first, items from 64 KiB on.</param>
    public ref struct Writer(Span<byte> region)
    {
        private readonly Span<byte> _region = region;
        private ushort _count;
        private int _next = VhdxFormat.MetadataTableLength;

        /// <summary>Adds a required system item and returns its bytes to be filled in.</summary>
        public Span<byte> Add(Guid id, int length, bool ofVirtualDisk) =>
            Add(id, length, VhdxMetadataItem.RequiredFlag | (ofVirtualDisk ? VhdxMetadataItem.VirtualDiskFlag : 0));

        /// <summary>Adds an item as another image has it.</summary>
        public void Add(VhdxMetadataItem item) => item.Bytes.CopyTo(Add(item.Id, item.Bytes.Length, item.Flags));

        private Span<byte> Add(Guid id, int length, uint flags)
        {
            _count++;
            var entry = _region.Slice(_count * EntryLength, EntryLength);
            id.TryWriteBytes(entry);
            BinaryPrimitives.WriteInt32LittleEndian(entry[16..], length == 0 ? 0 : _next);
            BinaryPrimitives.WriteInt32LittleEndian(entry[20..], length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], flags);
            BinaryPrimitives.WriteUInt16LittleEndian(_region[10..], _count);
            var item = _region.Slice(_next, length);
            _next += length;
            return item;
        }
    }
}
