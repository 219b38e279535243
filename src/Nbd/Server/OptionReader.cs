using System.Buffers.Binary;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Reads what a client sends in a handshake, within limits.</summary>
internal sealed class OptionReader(InputBuffer input)
{
    /// <summary>Options a client may send in a row.</summary>
    public const int MaxOptions = 256;

    private const int MaxOptionLength = 64 << 10;

    /// <summary>Reads the client's flags. True when it wants no zeroes behind EXPORT_NAME's answer.</summary>
    /// <exception cref="DisconnectException">Unknown flags, or no fixed newstyle.</exception>
    public bool ReadClientFlags()
    {
        Need(4);
        var flags = BinaryPrimitives.ReadUInt32BigEndian(input.Peek(4));
        input.Consume(4);
        if ((flags & ~(uint)(NbdMagic.FixedNewstyle | NbdMagic.NoZeroes)) != 0)
            throw new DisconnectException($"unknown handshake flags 0x{flags:x8}");
        if ((flags & NbdMagic.FixedNewstyle) == 0)
            throw new DisconnectException("the client does not speak the fixed newstyle handshake");
        return (flags & NbdMagic.NoZeroes) != 0;
    }

    /// <summary>Reads an option's header and waits for its data, which are then at the start of the input.</summary>
    /// <exception cref="DisconnectException">No magic, too long, or the client has hung up.</exception>
    public (uint Option, int Length) ReadOption()
    {
        Need(NbdMagic.OptionHeaderLength);
        var header = input.Peek(NbdMagic.OptionHeaderLength);
        var magic = BinaryPrimitives.ReadUInt64BigEndian(header);
        var option = BinaryPrimitives.ReadUInt32BigEndian(header[8..]);
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[12..]);
        input.Consume(NbdMagic.OptionHeaderLength);
        if (magic != NbdMagic.Option)
            throw new DisconnectException($"an option starts with 0x{magic:x16} instead of the magic");
        if (length > MaxOptionLength)
            throw new DisconnectException($"option {option} claims {length} bytes, the limit is {MaxOptionLength}");
        Need((int)length);
        return (option, (int)length);
    }

    private void Need(int count)
    {
        if (!input.Fill(count))
            throw DisconnectException.HungUp();
    }
}
