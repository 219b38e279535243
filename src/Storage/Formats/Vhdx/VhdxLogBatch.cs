using System.Buffers.Binary;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Pages that go into one log entry, laid out as the entry. Reused for every entry; not thread-safe.</summary>
/// <param name="capacity">Pages there is room for; at most <see cref="MaxPages"/>.</param>
internal sealed class VhdxLogBatch(int capacity = VhdxLogBatch.MaxPages)
{
    /// <summary>As many pages as one entry takes here. All descriptors fit the first sector.</summary>
    public const int MaxPages = 30;

    /// <summary>Bytes of the largest entry.</summary>
    public const int MaxLength = (1 + MaxPages) * VhdxFormat.PageSize;

    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>((1 + capacity) * VhdxFormat.PageSize);
    private readonly long[] _offsets = new long[capacity];

    public int Count { get; private set; }

    /// <summary>Pages that can still be added.</summary>
    public int Room => capacity - Count;

    public int Length => (1 + Count) * VhdxFormat.PageSize;

    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, Length);

    public long OffsetOf(int index) => _offsets[index];

    public Span<byte> Page(int index) => _bytes.AsSpan((1 + index) * VhdxFormat.PageSize, VhdxFormat.PageSize);

    public void Clear() => Count = 0;

    /// <summary>Where the page of this file offset is in the batch, or -1.</summary>
    public int Find(long fileOffset) => Array.IndexOf(_offsets, fileOffset, 0, Count);

    /// <summary>Adds a page; the caller fills it.</summary>
    public int Add(long fileOffset)
    {
        _offsets[Count] = fileOffset;
        return Count++;
    }

    /// <summary>Makes the bytes a log entry. The pages are unreadable until <see cref="ToPages"/>.</summary>
    /// <param name="header">The entry's header.</param>
    /// <param name="mask">0 for a sealed entry, else what its checksum is to be wrong by.</param>
    /// <returns>The true checksum.</returns>
    public uint ToEntry(VhdxLogEntryHeader header, uint mask)
    {
        _bytes.AsSpan(0, VhdxFormat.PageSize).Clear();
        header.Write(_bytes);
        for (var index = 0; index < Count; index++)
            VhdxLogDescriptor.WriteData(Descriptor(index), Page(index), _offsets[index], header.Sequence);
        var checksum = Crc32C.OfStructure(Bytes.Span, VhdxLogEntryHeader.ChecksumAt);
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(VhdxLogEntryHeader.ChecksumAt), checksum ^ mask);
        return checksum;
    }

    /// <summary>Turns the data sectors back into pages.</summary>
    public void ToPages(ulong sequence)
    {
        for (var index = 0; index < Count; index++)
        {
            VhdxLogDescriptor.TryParse(Descriptor(index), sequence, out var descriptor);
            descriptor.Restore(Page(index));
        }
    }

    private Span<byte> Descriptor(int index) =>
        _bytes.AsSpan(VhdxLogEntryHeader.Size + (index * VhdxLogEntryHeader.DescriptorSize), VhdxLogEntryHeader.DescriptorSize);
}
