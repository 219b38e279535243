using System.Buffers.Binary;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Reads the fields of an option's data, never past its end.</summary>
internal ref struct OptionText(ReadOnlySpan<byte> data)
{
    private ReadOnlySpan<byte> _rest = data;

    /// <summary>Everything has been read.</summary>
    public readonly bool IsAtEnd => _rest.IsEmpty;

    public bool TryUInt16(out ushort value)
    {
        value = _rest.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(_rest) : (ushort)0;
        return TryBytes(2, out _);
    }

    public bool TryUInt32(out uint value)
    {
        value = _rest.Length >= 4 ? BinaryPrimitives.ReadUInt32BigEndian(_rest) : 0;
        return TryBytes(4, out _);
    }

    public bool TryUInt64(out ulong value)
    {
        value = _rest.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(_rest) : 0;
        return TryBytes(8, out _);
    }

    /// <summary>A string with its length in front.</summary>
    public bool TryString(out ReadOnlySpan<byte> value)
    {
        value = default;
        return TryUInt32(out var length) && length <= NbdMagic.MaxStringLength && TryBytes((int)length, out value);
    }

    private bool TryBytes(int count, out ReadOnlySpan<byte> value)
    {
        var enough = _rest.Length >= count;
        value = enough ? _rest[..count] : default;
        _rest = enough ? _rest[count..] : default;
        return enough;
    }
}
