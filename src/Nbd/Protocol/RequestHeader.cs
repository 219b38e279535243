using System.Buffers.Binary;

namespace Godwit.Nbd.Protocol;

/// <summary>What every request starts with: 28 bytes, or 32 with extended headers.</summary>
/// <param name="Flags">Command flags.</param>
/// <param name="Command">What to do.</param>
/// <param name="Cookie">Chosen by the client, returned with the reply; opaque.</param>
/// <param name="Offset">First byte of the range.</param>
/// <param name="Length">Bytes of the range, or of the payload; of both for a write.</param>
/// <param name="Extended">The header is one of 32 bytes.</param>
internal readonly record struct RequestHeader(
    NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, ulong Length, bool Extended = false)
{
    /// <summary>Bytes of the header on the wire.</summary>
    public int HeaderLength => LengthOf(Extended);

    /// <summary>Bytes that follow the header. An extended header should say so itself, but QEMU 10 sends writes that do not,
    /// and their data all the same: data must never be taken for requests.</summary>
    public ulong PayloadLength =>
        Command == NbdCommand.Write || (Extended && (Flags & NbdCommandFlags.PayloadLength) != 0) ? Length : 0;

    /// <summary>What the reply repeats.</summary>
    public ReplyTag Tag => new(Cookie, Offset);

    /// <summary>Bytes of a header on the wire.</summary>
    public static int LengthOf(bool extended) => extended ? NbdMagic.ExtendedRequestLength : NbdMagic.RequestLength;

    /// <summary>Takes a header apart. False when it does not start with the magic: then nothing after it can be trusted.</summary>
    /// <param name="from">At least <see cref="LengthOf"/> bytes.</param>
    /// <param name="extended">Which form was agreed on.</param>
    /// <param name="header">The header, when the magic is there.</param>
    public static bool TryParse(ReadOnlySpan<byte> from, bool extended, out RequestHeader header)
    {
        header = new RequestHeader(
            (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(from[4..]),
            (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(from[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(from[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(from[16..]),
            extended ? BinaryPrimitives.ReadUInt64BigEndian(from[24..]) : BinaryPrimitives.ReadUInt32BigEndian(from[24..]),
            extended);
        return BinaryPrimitives.ReadUInt32BigEndian(from) == (extended ? NbdMagic.ExtendedRequest : NbdMagic.Request);
    }

    /// <summary>Puts a header together.</summary>
    /// <param name="to">At least <see cref="HeaderLength"/> bytes.</param>
    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, Extended ? NbdMagic.ExtendedRequest : NbdMagic.Request);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(to[6..], (ushort)Command);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], Cookie);
        BinaryPrimitives.WriteUInt64BigEndian(to[16..], Offset);
        if (Extended)
            BinaryPrimitives.WriteUInt64BigEndian(to[24..], Length);
        else
            BinaryPrimitives.WriteUInt32BigEndian(to[24..], (uint)Length);
    }
}
