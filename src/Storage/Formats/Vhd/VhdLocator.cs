using System.Buffers.Binary;
using System.Text;
using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>One of the eight places in the dynamic header that say where the parent is.</summary>
/// <remarks>VHD specification 1.0, "Parent Locator Entry". The paths themselves lie elsewhere in the file.</remarks>
/// <param name="Code">Four characters that say how to read the path; 0 when the entry is not used.</param>
/// <param name="Space">Room for the path: in sectors by the specification, in bytes by many writers.</param>
/// <param name="Length">Bytes of the path.</param>
/// <param name="Reserved">Kept as it was.</param>
/// <param name="Offset">Where in the file the path is.</param>
internal readonly record struct VhdLocator(uint Code, uint Space, uint Length, uint Reserved, ulong Offset)
{
    public const int EntryLength = 24;
    private const uint RelativeUnicode = 0x57327275;
    private const uint AbsoluteUnicode = 0x57326B75;
    private const uint RelativeAnsi = 0x57693272;
    private const uint AbsoluteAnsi = 0x5769326B;
    private const uint MacUrl = 0x4D616358;

    public bool IsUsed => Code != 0;

    /// <summary>The kinds that are written anew when the parent moves; an alias of an old Macintosh is not understood and stays.</summary>
    public bool IsUnderstood => Code is RelativeUnicode or AbsoluteUnicode or RelativeAnsi or AbsoluteAnsi or MacUrl;

    /// <summary>The code as text, for messages.</summary>
    public string Name
    {
        get
        {
            Span<byte> bytes = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, Code);
            return VhdFooter.Printable(bytes);
        }
    }

    /// <summary>Bytes nobody else may use: all of the room, whichever unit it is in.</summary>
    public long RoomInBytes
    {
        get
        {
            var inSectors = Space <= VhdFormat.MaxLocatorLength / VhdFormat.Sector ? (long)Space * VhdFormat.Sector : Space;
            return Math.Max(Math.Min(inSectors, VhdFormat.MaxLocatorLength), VhdFormat.AlignUp(Length, VhdFormat.Sector));
        }
    }

    /// <summary>There is a path, no longer than any path is, and all of it lies before this offset of the file.</summary>
    public bool HasPathBefore(long end) =>
        Length is > 0 and <= VhdFormat.MaxLocatorLength && Length <= end && Offset <= (ulong)(end - Length);

    public static VhdLocator Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32BigEndian(bytes),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
        BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Code);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], Space);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], Length);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], Reserved);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], Offset);
    }

    /// <summary>The path, or null for a kind that is not understood.</summary>
    public ParentPath? Decode(ReadOnlySpan<byte> path) => Code switch
    {
        RelativeUnicode => new ParentPath(ParentPathKind.Relative, Clean(Encoding.Unicode.GetString(path))),
        AbsoluteUnicode => new ParentPath(ParentPathKind.Absolute, Clean(Encoding.Unicode.GetString(path))),
        RelativeAnsi => new ParentPath(ParentPathKind.Relative, Clean(Encoding.Latin1.GetString(path))),
        AbsoluteAnsi => new ParentPath(ParentPathKind.Absolute, Clean(Encoding.Latin1.GetString(path))),
        MacUrl => new ParentPath(ParentPathKind.Url, Clean(Encoding.UTF8.GetString(path))),
        _ => null,
    };

    /// <summary>An entry for a path and the bytes of the path; null for a kind this format has no entry for.</summary>
    public static (VhdLocator Entry, byte[] Path)? Encode(ParentPath path, long offset)
    {
        var (code, encoding) = path.Kind switch
        {
            ParentPathKind.Relative => (RelativeUnicode, Encoding.Unicode),
            ParentPathKind.Absolute => (AbsoluteUnicode, Encoding.Unicode),
            ParentPathKind.Url => (MacUrl, Encoding.UTF8),
            _ => (0u, null),
        };
        if (encoding is null)
            return null;
        var bytes = encoding.GetBytes(path.Text);
        var sectors = (uint)((bytes.Length + VhdFormat.Sector - 1) / VhdFormat.Sector);
        return (new VhdLocator(code, sectors, (uint)bytes.Length, 0, (ulong)offset), bytes);
    }

    /// <summary>Some writers end the path with a zero character and count it.</summary>
    private static string Clean(string text)
    {
        var end = text.IndexOf('\0', StringComparison.Ordinal);
        return end < 0 ? text : text[..end];
    }
}
