using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Names for logs that tell which start of the computer a log was begun in, and that it was begun here.</summary>
/// <remarks>The format asks for a name that was not used before ([MS-VHDX] section 2.2.2, LogGuid); half of this one is as random as
/// ever. Within the same start everything a killed process wrote is still in the kernel, so that its log can be continued without
/// waiting for the storage; of another start, another computer or another program that is not known. It is no secret: who
/// forges a name makes this computer flush less of the forged file, nothing else.</remarks>
internal static class VhdxLogName
{
    /// <summary>A new name.</summary>
    /// <param name="bootId">The running start of the computer.</param>
    /// <param name="random">Its first half makes the name new.</param>
    public static Guid Of(Guid bootId, Guid random)
    {
        Span<byte> name = stackalloc byte[16];
        random.TryWriteBytes(name);
        BinaryPrimitives.WriteUInt64LittleEndian(name[8..], MarkOf(bootId, name[..8]));
        return new Guid(name);
    }

    /// <summary>The log was begun by this implementation, and the computer has not been started again since.</summary>
    public static bool IsOf(Guid bootId, Guid logGuid)
    {
        Span<byte> name = stackalloc byte[16];
        logGuid.TryWriteBytes(name);
        return BinaryPrimitives.ReadUInt64LittleEndian(name[8..]) == MarkOf(bootId, name[..8]);
    }

    private static ulong MarkOf(Guid bootId, ReadOnlySpan<byte> random)
    {
        Span<byte> bytes = stackalloc byte[24];
        bootId.TryWriteBytes(bytes);
        random.CopyTo(bytes[16..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }
}
