using System.Buffers.Binary;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What makes a log entry count for this start of the computer only.</summary>
/// <remarks>An unsealed entry has a checksum that is wrong by a number which only this start of the computer knows: it outlives the
/// process, because the kernel keeps both the entry and the bytes it shows, and is void after a power cut, which may keep one
/// and lose the other. Sealing an entry writes the true checksum. The reasons are in docs/design/vhdx.md.</remarks>
internal static class VhdxLogSeal
{
    /// <summary>By what the checksum of an unsealed entry is wrong; never 0.</summary>
    /// <param name="bootId">The running start of the computer.</param>
    /// <param name="logGuid">The log.</param>
    public static uint MaskOf(Guid bootId, Guid logGuid)
    {
        Span<byte> bytes = stackalloc byte[32];
        bootId.TryWriteBytes(bytes);
        logGuid.TryWriteBytes(bytes[16..]);
        var mask = Crc32C.Of(bytes);
        return mask == 0 ? 1 : mask;
    }

    /// <summary>The four bytes to write over an entry's checksum.</summary>
    public static byte[] ToBytes(uint checksum)
    {
        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, checksum);
        return bytes;
    }
}
