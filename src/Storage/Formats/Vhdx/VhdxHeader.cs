using System.Buffers.Binary;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>One of the two headers.</summary>
/// <remarks>[MS-VHDX] section 2.2.2.</remarks>
internal sealed record VhdxHeader(
    ulong Sequence, Guid FileWriteGuid, Guid DataWriteGuid, Guid LogGuid, ushort LogVersion, ushort Version, uint LogLength, long LogOffset)
{
    public const int Length = 4096;
    private const int ChecksumAt = 4;

    public bool HasLog => LogGuid != Guid.Empty;

    /// <summary>Reads a header, or tells why it is not valid.</summary>
    public static VhdxHeader? TryParse(ReadOnlySpan<byte> bytes, out string problem)
    {
        problem = "";
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != VhdxFormat.HeaderSignature)
            problem = "the signature \"head\" is missing";
        else if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]) != Crc32C.OfStructure(bytes, ChecksumAt))
            problem = "the checksum is wrong";
        if (problem.Length > 0)
            return null;
        return new VhdxHeader(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]),
            new Guid(bytes[16..32]),
            new Guid(bytes[32..48]),
            new Guid(bytes[48..64]),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[64..]),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[66..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[68..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[72..]));
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, VhdxFormat.HeaderSignature);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), Sequence);
        FileWriteGuid.TryWriteBytes(bytes.AsSpan(16));
        DataWriteGuid.TryWriteBytes(bytes.AsSpan(32));
        LogGuid.TryWriteBytes(bytes.AsSpan(48));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(64), LogVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(66), Version);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(68), LogLength);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(72), LogOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(ChecksumAt), Crc32C.OfStructure(bytes, ChecksumAt));
        return bytes;
    }
}
