using System.Buffers.Binary;

namespace Godwit.Storage.FileSystems;

/// <summary>Reads bytes of one partition, at any alignment. Not thread-safe.</summary>
/// <param name="device">The disk.</param>
/// <param name="start">Where the partition starts, in bytes; whole sectors.</param>
/// <param name="length">Bytes of the partition; it lies within the disk.</param>
internal sealed class PartitionReader(BlockDevice device, long start, long length)
{
    private readonly byte[] _sector = new byte[device.Capabilities.SectorSize];

    public long Start => start;

    public long Length => length;

    /// <summary>Reads a range.</summary>
    /// <exception cref="UnusableFileSystemException">It is not inside the partition: whoever named it is damaged.</exception>
    /// <exception cref="StorageException">The disk failed.</exception>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset < 0 || offset > length - buffer.Length)
            throw new UnusableFileSystemException($"it names {buffer.Length} bytes at {offset}, which are not inside its partition of {length} bytes");
        var sectorSize = _sector.Length;
        while (!buffer.IsEmpty)
        {
            var at = start + offset;
            var inSector = (int)(at % sectorSize);
            int part;
            if (inSector == 0 && buffer.Length >= sectorSize)
            {
                part = buffer.Length / sectorSize * sectorSize;
                await device.ReadAsync(at, buffer[..part], cancellationToken).ConfigureAwait(false);
            }
            else
            {
                part = Math.Min(buffer.Length, sectorSize - inSector);
                await device.ReadAsync(at - inSector, _sector, cancellationToken).ConfigureAwait(false);
                _sector.AsSpan(inSector, part).CopyTo(buffer.Span);
            }

            offset += part;
            buffer = buffer[part..];
        }
    }

    /// <summary>Reads a range into a new array; for pieces of at most 1 MiB.</summary>
    /// <exception cref="UnusableFileSystemException">As for <see cref="ReadAsync(long, Memory{byte}, CancellationToken)"/>.</exception>
    public async ValueTask<byte[]> ReadAsync(long offset, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        await ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    /// <summary>Whether the bytes at an offset are these; false where the partition is shorter.</summary>
    public async ValueTask<bool> HasAsync(long offset, ReadOnlyMemory<byte> expected, CancellationToken cancellationToken)
    {
        if (offset < 0 || offset > length - expected.Length)
            return false;
        var bytes = await ReadAsync(offset, expected.Length, cancellationToken).ConfigureAwait(false);
        return bytes.AsSpan().SequenceEqual(expected.Span);
    }

    public static ushort U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    public static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    public static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);
}
