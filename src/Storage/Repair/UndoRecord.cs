using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>What a record of an undo file tells.</summary>
internal enum UndoRecordKind
{
    /// <summary>The bytes that stood in a range; they follow the record.</summary>
    Bytes = 1,

    /// <summary>A range read as zeroes.</summary>
    Zeroes = 2,

    /// <summary>The repair is whole. Offset: the image's length; length: a checksum of the recorded ranges as they are now.</summary>
    Applied = 3,

    /// <summary>Putting back has begun.</summary>
    Restoring = 4,
}

/// <summary>The head of a record in an undo file: 48 bytes, little endian, then the bytes it covers.</summary>
/// <param name="Kind">What it tells.</param>
/// <param name="Offset">First byte in the image.</param>
/// <param name="Length">Bytes in the image.</param>
/// <param name="Sequence">Number of the record, from 0.</param>
/// <param name="BytesChecksum">CRC-32C of the bytes that follow.</param>
internal readonly record struct UndoRecord(UndoRecordKind Kind, long Offset, long Length, long Sequence, uint BytesChecksum)
{
    public const int Size = 48;
    private const int ChecksumAt = 4;
    private const uint Signature = 0x6F646E75; // "undo"

    /// <summary>Bytes that follow the head.</summary>
    public long BytesLength => Kind == UndoRecordKind.Bytes ? Length : 0;

    /// <summary>Reads a head; null when it is none of this undo file.</summary>
    /// <param name="bytes">What is in the file.</param>
    /// <param name="salt">The undo file's own number: what an older file left on the disk does not count.</param>
    public static UndoRecord? TryParse(ReadOnlySpan<byte> bytes, ulong salt)
    {
        var record = new UndoRecord(
            (UndoRecordKind)BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]));
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes) == Signature
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]) == Crc32C.OfStructure(bytes[..Size], ChecksumAt)
            && BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]) == salt
            && record.Kind is >= UndoRecordKind.Bytes and <= UndoRecordKind.Restoring && record is { Offset: >= 0, Length: >= 0, Sequence: >= 0 }
                ? record : null;
    }

    /// <summary>The head as it is in the file.</summary>
    public byte[] ToBytes(ulong salt)
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Signature);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), (int)Kind);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), BytesChecksum);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Offset);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(40), salt);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(ChecksumAt), Crc32C.OfStructure(bytes, ChecksumAt));
        return bytes;
    }
}
