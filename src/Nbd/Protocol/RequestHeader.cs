using System.Buffers.Binary;

namespace Godwit.Nbd.Protocol;

/// <summary>The 28 bytes every request starts with.</summary>
/// <param name="Flags">Command flags.</param>
/// <param name="Command">What to do.</param>
/// <param name="Cookie">Chosen by the client, returned with the reply; opaque.</param>
/// <param name="Offset">First byte of the range.</param>
/// <param name="Length">Bytes of the range, and of the payload of a write.</param>
internal readonly record struct RequestHeader(
    NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length)
{
    /// <summary>Bytes that follow the header.</summary>
    public uint PayloadLength => Command == NbdCommand.Write ? Length : 0;

    /// <summary>Takes a header apart. False when it does not start with the magic: then nothing after it can be trusted.</summary>
    /// <param name="from">At least <see cref="NbdMagic.RequestLength"/> bytes.</param>
    /// <param name="header">The header, when the magic is there.</param>
    public static bool TryParse(ReadOnlySpan<byte> from, out RequestHeader header)
    {
        header = new RequestHeader(
            (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(from[4..]),
            (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(from[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(from[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(from[16..]),
            BinaryPrimitives.ReadUInt32BigEndian(from[24..]));
        return BinaryPrimitives.ReadUInt32BigEndian(from) == NbdMagic.Request;
    }

    /// <summary>Puts a header together.</summary>
    /// <param name="to">At least <see cref="NbdMagic.RequestLength"/> bytes.</param>
    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, NbdMagic.Request);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(to[6..], (ushort)Command);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], Cookie);
        BinaryPrimitives.WriteUInt64BigEndian(to[16..], Offset);
        BinaryPrimitives.WriteUInt32BigEndian(to[24..], Length);
    }
}
