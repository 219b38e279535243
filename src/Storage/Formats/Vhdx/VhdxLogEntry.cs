using System.Buffers.Binary;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The first 64 bytes of a log entry.</summary>
/// <param name="Length">Bytes of the whole entry.</param>
/// <param name="Tail">Offset in the log of the oldest entry that is still needed when this one is the newest.</param>
/// <param name="Sequence">One more than the entry before.</param>
/// <param name="DescriptorCount">Descriptors that follow.</param>
/// <param name="LogGuid">The log this entry belongs to.</param>
/// <param name="FlushedFileOffset">A file shorter than this was cut, and must not be replayed.</param>
/// <param name="LastFileOffset">The file must be at least this long after the replay.</param>
/// <remarks>[MS-VHDX] section 2.3.1.1.</remarks>
internal readonly record struct VhdxLogEntryHeader(
    uint Length, uint Tail, ulong Sequence, uint DescriptorCount, Guid LogGuid, long FlushedFileOffset, long LastFileOffset)
{
    public const int Size = 64;
    public const int ChecksumAt = 4;
    public const int DescriptorSize = 32;
    public const int DescriptorsInFirstSector = (VhdxFormat.PageSize - Size) / DescriptorSize;
    public const int DescriptorsPerSector = VhdxFormat.PageSize / DescriptorSize;

    /// <summary>4 KiB sectors taken by the header and the descriptors.</summary>
    public long DescriptorSectors => DescriptorCount <= DescriptorsInFirstSector
        ? 1
        : 1 + ((DescriptorCount - DescriptorsInFirstSector + DescriptorsPerSector - 1) / DescriptorsPerSector);

    /// <summary>These bytes were once the start of an entry of this log, whole or not.</summary>
    public static bool IsOf(ReadOnlySpan<byte> bytes, Guid logGuid) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes) == VhdxFormat.LogEntrySignature && new Guid(bytes[32..48]) == logGuid;

    /// <summary>Reads a header; false when these bytes cannot start an entry of this log.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, Guid logGuid, long logLength, out VhdxLogEntryHeader header, out uint checksum)
    {
        header = default;
        checksum = 0;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != VhdxFormat.LogEntrySignature)
            return false;
        checksum = BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]);
        header = new VhdxLogEntryHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]),
            new Guid(bytes[32..48]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[48..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[56..]));
        return header.LogGuid == logGuid
            && header.Sequence > 0
            && header.Length >= VhdxFormat.PageSize
            && header.Length % VhdxFormat.PageSize == 0
            && header.Length <= logLength
            && header.Tail % VhdxFormat.PageSize == 0
            && header.Tail < logLength
            && header.FlushedFileOffset >= 0
            && header.LastFileOffset is >= 0 and <= VhdxFormat.MaxFileLength
            && header.DescriptorSectors * VhdxFormat.PageSize <= header.Length;
    }

    /// <summary>Writes the header with a zero checksum.</summary>
    public void Write(Span<byte> bytes)
    {
        bytes[..Size].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, VhdxFormat.LogEntrySignature);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[12..], Tail);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], DescriptorCount);
        LogGuid.TryWriteBytes(bytes[32..]);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[48..], FlushedFileOffset);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[56..], LastFileOffset);
    }
}

/// <summary>One change a log entry describes: a 4 KiB page, or a range of zeroes.</summary>
/// <param name="IsZero">A range of zeroes.</param>
/// <param name="FileOffset">Where in the file.</param>
/// <param name="ZeroLength">Bytes, for zeroes.</param>
/// <param name="Leading">First 8 bytes of the page.</param>
/// <param name="Trailing">Last 4 bytes of the page.</param>
/// <remarks>[MS-VHDX] sections 2.3.1.2 to 2.3.1.4.</remarks>
internal readonly record struct VhdxLogDescriptor(bool IsZero, long FileOffset, long ZeroLength, ulong Leading, uint Trailing)
{
    public long End => FileOffset + (IsZero ? ZeroLength : VhdxFormat.PageSize);

    /// <summary>Reads a descriptor; false when it is not one of this entry or points where a log must not write.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, ulong sequence, out VhdxLogDescriptor descriptor)
    {
        var signature = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        var isZero = signature == VhdxFormat.ZeroDescriptorSignature;
        var middle = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        descriptor = new VhdxLogDescriptor(
            isZero,
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            isZero ? (long)middle : 0,
            middle,
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
        return (isZero || signature == VhdxFormat.DataDescriptorSignature)
            && BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]) == sequence
            && descriptor.FileOffset is >= VhdxFormat.FirstRegionTableOffset and <= VhdxFormat.MaxFileLength
            && descriptor.FileOffset % VhdxFormat.PageSize == 0
            && descriptor.ZeroLength is >= 0 and <= VhdxFormat.MaxFileLength
            && descriptor.ZeroLength % VhdxFormat.PageSize == 0;
    }

    /// <summary>Writes the descriptor of a page and turns the page into a data sector in place.</summary>
    public static void WriteData(Span<byte> descriptor, Span<byte> page, long fileOffset, ulong sequence)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor, VhdxFormat.DataDescriptorSignature);
        page[^4..].CopyTo(descriptor[4..]);
        page[..8].CopyTo(descriptor[8..]);
        BinaryPrimitives.WriteInt64LittleEndian(descriptor[16..], fileOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[24..], sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(page, VhdxFormat.DataSectorSignature);
        BinaryPrimitives.WriteUInt32LittleEndian(page[4..], (uint)(sequence >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(page[^4..], (uint)sequence);
    }

    /// <summary>This page's data sector belongs to the entry with this sequence number.</summary>
    public static bool IsDataSector(ReadOnlySpan<byte> sector, ulong sequence) =>
        BinaryPrimitives.ReadUInt32LittleEndian(sector) == VhdxFormat.DataSectorSignature
        && BinaryPrimitives.ReadUInt32LittleEndian(sector[4..]) == (uint)(sequence >> 32)
        && BinaryPrimitives.ReadUInt32LittleEndian(sector[^4..]) == (uint)sequence;

    /// <summary>Turns a data sector back into the page it stands for.</summary>
    public void Restore(Span<byte> sector)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(sector, Leading);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[^4..], Trailing);
    }
}
