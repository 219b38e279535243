using System.Buffers.Binary;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Puts the headers of replies together (NBD proto.md, "Simple reply message", "Structured reply chunk message",
/// "Extended reply chunk message").</summary>
internal static class ReplyHeader
{
    /// <summary>Bytes of a chunk's header.</summary>
    public static int ChunkLength(bool extended) => extended ? NbdMagic.ExtendedChunkHeaderLength : NbdMagic.ChunkHeaderLength;

    /// <summary>Bytes in front of the descriptors of a block status.</summary>
    public static int StatusLength(bool extended) => ChunkLength(extended) + (extended ? 8 : 4);

    public static void Simple(Span<byte> to, NbdError error, ulong cookie)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, NbdMagic.SimpleReply);
        BinaryPrimitives.WriteUInt32BigEndian(to[4..], (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], cookie);
    }

    /// <summary>The header of a chunk.</summary>
    /// <param name="to"><see cref="ChunkLength"/> bytes.</param>
    /// <param name="extended">The form agreed on.</param>
    /// <param name="type">What follows.</param>
    /// <param name="done">This is the last chunk of the reply.</param>
    /// <param name="tag">The request's.</param>
    /// <param name="length">Bytes that follow.</param>
    public static void Chunk(Span<byte> to, bool extended, NbdChunk type, bool done, ReplyTag tag, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, extended ? NbdMagic.ExtendedReply : NbdMagic.StructuredReply);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], (ushort)(done ? 1 : 0));
        BinaryPrimitives.WriteUInt16BigEndian(to[6..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], tag.Cookie);
        if (!extended)
        {
            BinaryPrimitives.WriteUInt32BigEndian(to[16..], (uint)length);
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(to[16..], tag.Offset);
        BinaryPrimitives.WriteUInt64BigEndian(to[24..], (ulong)length);
    }

    /// <summary>The header in front of the descriptors of one context.</summary>
    public static void Status(Span<byte> to, bool extended, bool done, ReplyTag tag, uint context, int descriptors)
    {
        var header = ChunkLength(extended);
        var type = extended ? NbdChunk.BlockStatusExtended : NbdChunk.BlockStatus;
        Chunk(to, extended, type, done, tag, extended ? 8 + (16 * descriptors) : 4 + (8 * descriptors));
        BinaryPrimitives.WriteUInt32BigEndian(to[header..], context);
        if (extended)
            BinaryPrimitives.WriteUInt32BigEndian(to[(header + 4)..], (uint)descriptors);
    }
}
