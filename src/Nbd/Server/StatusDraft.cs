using System.Buffers.Binary;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>The reply to a block status while it grows: for each context in turn a chunk of descriptors, neighbours of the
/// same state joined.</summary>
/// <param name="request">The request, with the length of the range.</param>
/// <param name="contexts">What is asked for, at least one.</param>
/// <param name="to">Where the reply goes.</param>
internal struct StatusDraft(in RequestHeader request, StatusContexts contexts, Memory<byte> to)
{
    /// <summary>Most descriptors in one chunk; the client asks again for the rest.</summary>
    private const int MaxDescriptors = 2048;

    /// <summary>Most questions to the device for one chunk: finely cut devices must not hold the connection for long.</summary>
    private const int MaxQuestions = 16 * 1024;

    /// <summary>Bytes a chunk takes at most.</summary>
    public const int RoomPerContext = NbdMagic.ExtendedChunkHeaderLength + 8 + (16 * MaxDescriptors);

    private readonly RequestHeader _request = request;
    private readonly Memory<byte> _to = to;
    private StatusContexts _left = contexts;
    private int _chunk;
    private int _count;
    private int _questions;
    private ulong _length;
    private uint _state;

    /// <summary>Where the next extent is wanted.</summary>
    public long At { get; private set; } = (long)request.Offset;

    /// <summary>Bytes of the range from there on.</summary>
    public readonly long Left => (long)(_request.Offset + _request.Length) - At;

    /// <summary>Every context has its chunk.</summary>
    public readonly bool IsComplete => _left == StatusContexts.None;

    /// <summary>Bytes of the finished chunks.</summary>
    public readonly int Written => _chunk;

    private readonly bool Wide => _request.Extended;

    /// <summary>The context whose chunk is being written.</summary>
    public readonly StatusContexts Context => (StatusContexts)((uint)_left & (uint)-(int)_left);

    /// <summary>Takes the run at <see cref="At"/> in.</summary>
    /// <param name="length">Bytes, not above <see cref="Left"/>.</param>
    /// <param name="state">Its state in <see cref="Context"/>.</param>
    public void Add(long length, uint state)
    {
        if (_length > 0 && state != _state && !TryStartAnother())
        {
            EndChunk();
            return;
        }

        _state = state;
        _length += (ulong)length;
        At += length;
        if (++_questions == MaxQuestions || Left == 0)
            EndChunk();
    }

    /// <summary>Closes the descriptor in hand. False when it is the last one wanted.</summary>
    private bool TryStartAnother()
    {
        if ((_request.Flags & NbdCommandFlags.RequestOne) != 0 || _count == MaxDescriptors - 1)
            return false;
        WriteDescriptor();
        return true;
    }

    private void WriteDescriptor()
    {
        var size = Wide ? 16 : 8;
        var at = _to.Span[(_chunk + ReplyHeader.StatusLength(Wide) + (size * _count))..];
        if (Wide)
        {
            BinaryPrimitives.WriteUInt64BigEndian(at, _length);
            BinaryPrimitives.WriteUInt64BigEndian(at[8..], _state);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(at, (uint)_length);
            BinaryPrimitives.WriteUInt32BigEndian(at[4..], _state);
        }

        _count++;
        _length = 0;
    }

    private void EndChunk()
    {
        WriteDescriptor();
        var context = Context;
        _left &= ~context;
        ReplyHeader.Status(_to.Span[_chunk..], Wide, IsComplete, _request.Tag, (uint)context, _count);
        _chunk += ReplyHeader.StatusLength(Wide) + (_count * (Wide ? 16 : 8));
        _count = _questions = 0;
        At = (long)_request.Offset;
    }
}
