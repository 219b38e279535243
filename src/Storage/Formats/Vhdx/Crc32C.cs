using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>CRC-32C (Castagnoli), the checksum of every VHDX structure. Uses the processor's instruction where there is one.</summary>
internal static class Crc32C
{
    private const uint Start = 0xFFFFFFFF;

    /// <summary>Checksum of a structure whose own 4-byte checksum field counts as zero.</summary>
    /// <param name="structure">The whole structure.</param>
    /// <param name="checksumAt">Where the field is.</param>
    public static uint OfStructure(ReadOnlySpan<byte> structure, int checksumAt)
    {
        var crc = Append(Start, structure[..checksumAt]);
        crc = BitOperations.Crc32C(crc, 0u);
        return ~Append(crc, structure[(checksumAt + 4)..]);
    }

    /// <summary>Checksum of plain bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => ~Append(Start, bytes);

    /// <summary>First part of a structure that comes in pieces; continue with <see cref="Append"/>, end with the complement.</summary>
    public static uint BeginStructure(ReadOnlySpan<byte> firstPiece, int checksumAt) =>
        ~OfStructure(firstPiece, checksumAt);

    /// <summary>Adds bytes to a running (not yet complemented) checksum.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
            crc = BitOperations.Crc32C(crc, BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word));
        foreach (var single in bytes[(words.Length * sizeof(ulong))..])
            crc = BitOperations.Crc32C(crc, single);
        return crc;
    }
}
