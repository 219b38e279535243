using System.Buffers.Binary;
using System.Text.Unicode;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Writes replies in the form the session agreed on (NBD proto.md, "Simple replies", "Structured replies").</summary>
internal sealed class ReplyWriter(OutputBuffer output, bool structured)
{
    /// <summary>Bytes in front of the data of a read.</summary>
    public int ReadHeaderLength { get; } = structured ? NbdMagic.ChunkHeaderLength + 8 : NbdMagic.SimpleReplyLength;

    private const int MaxMessage = 1024;

    /// <summary>Done, nothing to return. A simple reply is allowed for this even when replies are structured.</summary>
    public void Success(ulong cookie)
    {
        output.MakeRoom(NbdMagic.SimpleReplyLength);
        Simple(output.Buffer.Span(output.Used, NbdMagic.SimpleReplyLength), NbdError.None, cookie);
        output.Commit(NbdMagic.SimpleReplyLength);
    }

    /// <summary>An answer to a read of nothing.</summary>
    public void Empty(ulong cookie)
    {
        if (structured)
            Chunk(output.Append(NbdMagic.ChunkHeaderLength), NbdChunk.None, true, cookie, 0);
        else
            Success(cookie);
    }

    /// <summary>Refused or failed, with the reason in words where the session allows it.</summary>
    /// <param name="cookie">The request's.</param>
    /// <param name="error">The number.</param>
    /// <param name="reason">The words; cut when very long.</param>
    /// <param name="done">This is the last chunk of the reply.</param>
    public void Error(ulong cookie, NbdError error, string reason, bool done = true)
    {
        if (!structured)
        {
            Simple(output.Append(NbdMagic.SimpleReplyLength), error, cookie);
            return;
        }

        Span<byte> message = stackalloc byte[MaxMessage];
        Utf8.FromUtf16(reason, message, out _, out var length);
        var to = output.Append(NbdMagic.ChunkHeaderLength + 6 + length);
        Chunk(to, NbdChunk.Error, done, cookie, 6 + length);
        BinaryPrimitives.WriteUInt32BigEndian(to[20..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(to[24..], (ushort)length);
        message[..length].CopyTo(to[26..]);
    }

    /// <summary>The device failed. The reason goes to the client without the path: that is the host's business.</summary>
    public void Failure(ulong cookie, Exception failure, bool done = true) => Error(
        cookie, NbdErrors.FromException(failure), failure is StorageException storage ? storage.Reason : failure.Message, done);

    /// <summary>The header in front of the data of a read, once the data is known to be good.</summary>
    public void ReadHeader(Span<byte> to, ulong cookie, ulong offset, int count, bool done)
    {
        if (!structured)
        {
            Simple(to, NbdError.None, cookie);
            return;
        }

        Chunk(to, NbdChunk.OffsetData, done, cookie, 8 + count);
        BinaryPrimitives.WriteUInt64BigEndian(to[20..], offset);
    }

    /// <summary>The header in front of the descriptors of a block status.</summary>
    public static void StatusHeader(Span<byte> to, ulong cookie, int descriptors)
    {
        Chunk(to, NbdChunk.BlockStatus, true, cookie, 4 + (8 * descriptors));
        BinaryPrimitives.WriteUInt32BigEndian(to[20..], Session.BaseAllocationId);
    }

    private static void Simple(Span<byte> to, NbdError error, ulong cookie)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, NbdMagic.SimpleReply);
        BinaryPrimitives.WriteUInt32BigEndian(to[4..], (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], cookie);
    }

    private static void Chunk(Span<byte> to, NbdChunk type, bool done, ulong cookie, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, NbdMagic.StructuredReply);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], (ushort)(done ? 1 : 0));
        BinaryPrimitives.WriteUInt16BigEndian(to[6..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], cookie);
        BinaryPrimitives.WriteUInt32BigEndian(to[16..], (uint)length);
    }
}
