using System.Text;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Takes the data of an option apart; written apart from the server's own reader, which it is to judge.</summary>
/// <param name="data">The data.</param>
internal ref struct OptionFields(ReadOnlySpan<byte> data)
{
    private ReadOnlySpan<byte> _rest = data;

    /// <summary>The lengths have added up so far.</summary>
    public bool IsSound { get; private set; } = true;

    /// <summary>Sound, and nothing is left.</summary>
    public readonly bool IsWhole => IsSound && _rest.IsEmpty;

    /// <summary>A number of so many bytes; 0 when they are not there.</summary>
    public ulong Number(int width)
    {
        var value = 0UL;
        foreach (var digit in Bytes(width))
            value = (value << 8) | digit;
        return value;
    }

    /// <summary>A string with its length in front; no export and no context when it is not there.</summary>
    public string Text()
    {
        var length = Number(4);
        IsSound &= length <= NbdMagic.MaxStringLength;

        // Latin 1: what is no UTF-8 must not become equal to something else.
        return Encoding.Latin1.GetString(Bytes(IsSound ? (int)length : 0));
    }

    private ReadOnlySpan<byte> Bytes(int count)
    {
        IsSound &= _rest.Length >= count;
        if (!IsSound)
            return [];
        var bytes = _rest[..count];
        _rest = _rest[count..];
        return bytes;
    }
}
