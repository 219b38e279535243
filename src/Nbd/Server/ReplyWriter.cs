using System.Buffers.Binary;
using System.Text.Unicode;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Writes replies in the form the session agreed on.</summary>
internal sealed class ReplyWriter(OutputBuffer output, NbdHeaderForm form)
{
    private const int MaxMessage = 1024;

    private readonly bool _structured = form != NbdHeaderForm.Simple;
    private readonly bool _extended = form == NbdHeaderForm.Extended;
    private readonly int _chunkLength = ReplyHeader.ChunkLength(form == NbdHeaderForm.Extended);

    /// <summary>Bytes in front of the data of a read.</summary>
    public int ReadHeaderLength { get; } =
        form == NbdHeaderForm.Simple ? NbdMagic.SimpleReplyLength : ReplyHeader.ChunkLength(form == NbdHeaderForm.Extended) + 8;

    /// <summary>Done, nothing to return. A simple reply is allowed for this even when replies are structured.</summary>
    public void Success(ReplyTag tag)
    {
        if (_extended)
        {
            Nothing(tag);
            return;
        }

        output.MakeRoom(NbdMagic.SimpleReplyLength);
        ReplyHeader.Simple(output.Buffer.Span(output.Used, NbdMagic.SimpleReplyLength), NbdError.None, tag.Cookie);
        output.Commit(NbdMagic.SimpleReplyLength);
    }

    /// <summary>An answer to a read of nothing.</summary>
    public void Empty(ReplyTag tag)
    {
        if (_structured)
            Nothing(tag);
        else
            Success(tag);
    }

    /// <summary>Refused or failed, with the reason in words where the session allows it.</summary>
    /// <param name="tag">The request's.</param>
    /// <param name="error">The number.</param>
    /// <param name="reason">The words; cut when very long.</param>
    /// <param name="done">This is the last chunk of the reply.</param>
    public void Error(ReplyTag tag, NbdError error, string reason, bool done = true)
    {
        if (!_structured)
        {
            ReplyHeader.Simple(output.Append(NbdMagic.SimpleReplyLength), error, tag.Cookie);
            return;
        }

        Span<byte> message = stackalloc byte[MaxMessage];
        Utf8.FromUtf16(reason, message, out _, out var length);
        var to = output.Append(_chunkLength + 6 + length);
        ReplyHeader.Chunk(to, _extended, NbdChunk.Error, done, tag, 6 + length);
        to = to[_chunkLength..];
        BinaryPrimitives.WriteUInt32BigEndian(to, (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], (ushort)length);
        message[..length].CopyTo(to[6..]);
    }

    /// <summary>The device failed. The reason goes to the client without the path: that is the host's business.</summary>
    public void Failure(ReplyTag tag, Exception failure, bool done = true) => Error(
        tag, NbdErrors.FromException(failure), failure is StorageException storage ? storage.Reason : failure.Message, done);

    /// <summary>The header in front of the data of a read, once the data is known to be good.</summary>
    /// <param name="to"><see cref="ReadHeaderLength"/> bytes.</param>
    /// <param name="tag">The request's.</param>
    /// <param name="offset">Where the data of this chunk comes from.</param>
    /// <param name="count">Bytes of data.</param>
    /// <param name="done">This is the last chunk of the reply.</param>
    public void ReadHeader(Span<byte> to, ReplyTag tag, ulong offset, int count, bool done)
    {
        if (!_structured)
        {
            ReplyHeader.Simple(to, NbdError.None, tag.Cookie);
            return;
        }

        ReplyHeader.Chunk(to, _extended, NbdChunk.OffsetData, done, tag, 8 + count);
        BinaryPrimitives.WriteUInt64BigEndian(to[_chunkLength..], offset);
    }

    private void Nothing(ReplyTag tag) => ReplyHeader.Chunk(output.Append(_chunkLength), _extended, NbdChunk.None, true, tag, 0);
}
