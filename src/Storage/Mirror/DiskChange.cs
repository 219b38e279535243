using System.Runtime.InteropServices;

namespace Godwit.Storage.Mirror;

/// <summary>What a <see cref="DiskChange"/> does.</summary>
internal enum DiskChangeKind
{
    Write,
    Zero,
    Trim,
}

/// <summary>A write, zeroing or trim as a value, so that one code path can mirror all three.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly struct DiskChange
{
    private readonly ReadOnlyMemory<byte> _buffer;

    private DiskChange(DiskChangeKind kind, long offset, long length, ReadOnlyMemory<byte> buffer, WriteFlags flags)
    {
        Kind = kind;
        Offset = offset;
        Length = length;
        _buffer = buffer;
        Flags = flags;
    }

    public DiskChangeKind Kind { get; }

    public long Offset { get; }

    public long Length { get; }

    public WriteFlags Flags { get; }

    public ReadOnlyMemory<byte> Buffer => _buffer;

    public long End => Offset + Length;

    public static DiskChange Write(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags) =>
        new(DiskChangeKind.Write, offset, buffer.Length, buffer, flags);

    public static DiskChange Zero(long offset, long length, WriteFlags flags) =>
        new(DiskChangeKind.Zero, offset, length, default, flags);

    public static DiskChange Trim(long offset, long length) => new(DiskChangeKind.Trim, offset, length, default, WriteFlags.None);

    public DiskChange AsZero() => Zero(Offset, Length, Flags);

    /// <summary>The same bytes from another buffer, without the wish to have them on the medium at once.</summary>
    public DiskChange WithBuffer(ReadOnlyMemory<byte> buffer) => new(Kind, Offset, Length, buffer, Flags & ~WriteFlags.ForceUnitAccess);

    /// <summary>The part from <paramref name="start"/> to before <paramref name="end"/>, which lie inside.</summary>
    public DiskChange Slice(long start, long end) => new(
        Kind, start, end - start, Kind == DiskChangeKind.Write ? _buffer.Slice((int)(start - Offset), (int)(end - start)) : default, Flags);

    public ValueTask ApplyAsync(BlockDevice device, CancellationToken cancellationToken) => Kind switch
    {
        DiskChangeKind.Write => device.WriteAsync(Offset, _buffer, Flags, cancellationToken),
        DiskChangeKind.Zero => device.WriteZeroesAsync(Offset, Length, Flags, cancellationToken),
        _ => device.TrimAsync(Offset, Length, cancellationToken),
    };
}
