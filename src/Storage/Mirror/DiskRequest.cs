using System.Runtime.InteropServices;

namespace Godwit.Storage.Mirror;

/// <summary>What a <see cref="DiskRequest"/> does.</summary>
internal enum DiskRequestKind
{
    Read,
    Write,
    Zero,
    Trim,
    Flush,
}

/// <summary>A request as a value, so that one code path can hold back, forward or mirror every kind.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly struct DiskRequest
{
    private readonly ReadOnlyMemory<byte> _buffer;

    private DiskRequest(DiskRequestKind kind, long offset, long length, ReadOnlyMemory<byte> buffer, WriteFlags flags)
    {
        Kind = kind;
        Offset = offset;
        Length = length;
        _buffer = buffer;
        Flags = flags;
    }

    public DiskRequestKind Kind { get; }

    public long Offset { get; }

    public long Length { get; }

    public WriteFlags Flags { get; }

    public ReadOnlyMemory<byte> Buffer => _buffer;

    public long End => Offset + Length;

    public static DiskRequest Flush { get; } = new(DiskRequestKind.Flush, 0, 0, default, WriteFlags.None);

    public static DiskRequest Read(long offset, Memory<byte> buffer) =>
        new(DiskRequestKind.Read, offset, buffer.Length, buffer, WriteFlags.None);

    public static DiskRequest Write(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags) =>
        new(DiskRequestKind.Write, offset, buffer.Length, buffer, flags);

    public static DiskRequest Zero(long offset, long length, WriteFlags flags) =>
        new(DiskRequestKind.Zero, offset, length, default, flags);

    public static DiskRequest Trim(long offset, long length) => new(DiskRequestKind.Trim, offset, length, default, WriteFlags.None);

    public DiskRequest AsZero() => Zero(Offset, Length, Flags);

    /// <summary>The same bytes from another buffer, without the wish to have them on the medium at once.</summary>
    public DiskRequest WithBuffer(ReadOnlyMemory<byte> buffer) => new(Kind, Offset, Length, buffer, Flags & ~WriteFlags.ForceUnitAccess);

    /// <summary>The part from <paramref name="start"/> to before <paramref name="end"/>, which lie inside.</summary>
    public DiskRequest Slice(long start, long end) => new(
        Kind, start, end - start, Kind == DiskRequestKind.Write ? _buffer.Slice((int)(start - Offset), (int)(end - start)) : default, Flags);

    public ValueTask SendAsync(BlockDevice device, CancellationToken cancellationToken) => Kind switch
    {
        // A read was made from memory that may be written.
        DiskRequestKind.Read => device.ReadAsync(Offset, MemoryMarshal.AsMemory(_buffer), cancellationToken),
        DiskRequestKind.Write => device.WriteAsync(Offset, _buffer, Flags, cancellationToken),
        DiskRequestKind.Zero => device.WriteZeroesAsync(Offset, Length, Flags, cancellationToken),
        DiskRequestKind.Trim => device.TrimAsync(Offset, Length, cancellationToken),
        _ => device.FlushAsync(cancellationToken),
    };
}
