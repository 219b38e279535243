using System.Buffers.Binary;
using System.Text;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>The last sector of every VHD, whose copy is the first one of a dynamic or differencing one.</summary>
/// <remarks>VHD specification 1.0, "Hard Disk Footer Format". Fields nobody here knows are kept as they were.</remarks>
internal sealed class VhdFooter
{
    private const int DataOffsetAt = 16;
    private const int TimeStampAt = 24;
    private const int CreatorAt = 28;
    private const int OriginalSizeAt = 40;
    private const int CurrentSizeAt = 48;
    private const int GeometryAt = 56;
    private const int KindAt = 60;
    private const int ChecksumAt = 64;
    private const int IdAt = 68;
    private const int SavedStateAt = 84;
    private readonly byte[] _bytes;

    private VhdFooter(byte[] bytes) => _bytes = bytes;

    public VhdKind Kind => (VhdKind)BinaryPrimitives.ReadInt32BigEndian(_bytes.AsSpan(KindAt));

    /// <summary>Where the dynamic header is; all ones in a fixed disk.</summary>
    public ulong DataOffset => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(DataOffsetAt));

    public uint TimeStamp => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(TimeStampAt));

    public ulong CurrentSize => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(CurrentSizeAt));

    public VhdGeometry Geometry =>
        new(BinaryPrimitives.ReadUInt16BigEndian(_bytes.AsSpan(GeometryAt)), _bytes[GeometryAt + 2], _bytes[GeometryAt + 3]);

    public Guid Id => new(_bytes.AsSpan(IdAt, 16), bigEndian: true);

    public bool IsSavedState => _bytes[SavedStateAt] != 0;

    /// <summary>Who made the file: printable characters only.</summary>
    public string Creator => Printable(_bytes.AsSpan(CreatorAt, 4));

    /// <summary>Virtual PC and QEMU take the size from the geometry, unless that is at its maximum; everybody else writes the
    /// true size into the footer. Taking the wrong one moves the end of the disk.</summary>
    public bool SizeIsGeometry =>
        !Geometry.IsMaximum && Geometry.Size > 0 && _bytes.AsSpan(CreatorAt, 4) is var app && (app.SequenceEqual("vpc "u8) || app.SequenceEqual("qemu"u8));

    /// <summary>Bytes of the disk, by the rule of whoever made it.</summary>
    public ulong DiskSize => SizeIsGeometry ? (ulong)Geometry.Size : CurrentSize;

    /// <summary>A footer for a new disk.</summary>
    public static VhdFooter Create(VhdKind kind, long size, Guid id, uint timeStamp)
    {
        var bytes = new byte[VhdFormat.FooterLength];
        VhdFormat.FooterCookie.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), 2);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(12), VhdFormat.Version);
        BinaryPrimitives.WriteUInt64BigEndian(
            bytes.AsSpan(DataOffsetAt), kind == VhdKind.Fixed ? VhdFormat.NoOffset : VhdFormat.FooterLength);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(TimeStampAt), timeStamp);
        WriteCreator(bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(OriginalSizeAt), size);
        WriteSize(bytes, size);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(KindAt), (int)kind);
        id.TryWriteBytes(bytes.AsSpan(IdAt), bigEndian: true, out _);
        return Sealed(bytes);
    }

    /// <summary>Reads a footer; 511 bytes stand for 512 with a zero at the end.</summary>
    /// <param name="bytes">What is in the file.</param>
    /// <param name="problem">Why it is none, for a message; empty when it is one.</param>
    public static VhdFooter? TryParse(ReadOnlySpan<byte> bytes, out string problem)
    {
        problem = "";
        if (!bytes.StartsWith(VhdFormat.FooterCookie))
        {
            problem = "\"conectix\" is missing";
            return null;
        }

        var footer = new VhdFooter(new byte[VhdFormat.FooterLength]);
        bytes.CopyTo(footer._bytes);
        var stored = BinaryPrimitives.ReadUInt32BigEndian(footer._bytes.AsSpan(ChecksumAt));
        var expected = VhdFormat.Checksum(footer._bytes, ChecksumAt);
        var version = BinaryPrimitives.ReadUInt32BigEndian(footer._bytes.AsSpan(12));
        if (stored != expected)
            problem = $"its checksum is {stored:x8}, its bytes add up to {expected:x8}";
        else if (version >> 16 != VhdFormat.Version >> 16)
            problem = $"its version is {version:x8}, expected {VhdFormat.Version:x8}";
        else if (footer.Kind is not (VhdKind.Fixed or VhdKind.Dynamic or VhdKind.Differencing))
            problem = $"its disk type is {(int)footer.Kind}, expected 2 (fixed), 3 (dynamic) or 4 (differencing)";
        return problem.Length == 0 ? footer : null;
    }

    public byte[] ToBytes() => [.. _bytes];

    public bool SameAs(VhdFooter other) => _bytes.AsSpan().SequenceEqual(other._bytes);

    /// <summary>The same disk with another size. The size then counts as written, so its creator must be one whose footers are
    /// read that way.</summary>
    public VhdFooter WithSize(long size)
    {
        var bytes = ToBytes();
        WriteCreator(bytes);
        WriteSize(bytes, size);
        return Sealed(bytes);
    }

    /// <summary>The same disk with its dynamic header elsewhere.</summary>
    public VhdFooter WithDataOffset(long offset)
    {
        var bytes = ToBytes();
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(DataOffsetAt), offset);
        return Sealed(bytes);
    }

    /// <summary>A time as the format counts it.</summary>
    public static uint ToStamp(DateTimeOffset time) =>
        (uint)Math.Clamp((long)(time - VhdFormat.Epoch).TotalSeconds, 0, uint.MaxValue);

    public static DateTimeOffset FromStamp(uint stamp) => VhdFormat.Epoch.AddSeconds(stamp);

    /// <summary>Four bytes as text, for messages.</summary>
    internal static string Printable(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (var value in bytes)
            text.Append(value is >= 0x20 and < 0x7f ? (char)value : '.');
        return text.ToString();
    }

    // Readers choose the rule for the size by the creator. "win " (Hyper-V) means "as the footer says" to all of them; QEMU
    // before version 10 takes every name it does not know for one that means the geometry.
    private static void WriteCreator(Span<byte> bytes)
    {
        "win "u8.CopyTo(bytes[CreatorAt..]);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[(CreatorAt + 4)..], 0x000A0000);
        "Wi2k"u8.CopyTo(bytes[(CreatorAt + 8)..]);
    }

    private static void WriteSize(Span<byte> bytes, long size)
    {
        var geometry = VhdGeometry.For(size);
        BinaryPrimitives.WriteInt64BigEndian(bytes[CurrentSizeAt..], size);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[GeometryAt..], geometry.Cylinders);
        bytes[GeometryAt + 2] = geometry.Heads;
        bytes[GeometryAt + 3] = geometry.SectorsPerTrack;
    }

    private static VhdFooter Sealed(byte[] bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(ChecksumAt), VhdFormat.Checksum(bytes, ChecksumAt));
        return new VhdFooter(bytes);
    }
}
