using System.Buffers.Binary;
using Godwit.Storage.Bitmaps;

namespace Godwit.Storage.Tracking;

/// <summary>Whether the bits of a point's file can be believed: the second sector of the file.</summary>
/// <remarks>
/// <para>All little-endian: magic (8 bytes), closed (4: 0 or 1), boot id (16), the image's length, time and inode at the close (8 each),
/// CRC-32C of these 52 bytes (4). One sector, so a power cut leaves the old one, the new one, or one that is refused.</para>
/// <para>Marks are set through a memory map that nobody forces to the medium. So a file says "open, in this start of the computer"
/// on the medium before the first mark, and "closed" only when all marks are there.</para>
/// </remarks>
/// <param name="IsClosed">All marks are on the medium, and none was set since.</param>
/// <param name="Boot">The start of the computer in which the file is, or was, open.</param>
/// <param name="Image">The image when the file was closed.</param>
internal sealed record PointSession(bool IsClosed, Guid Boot, ImageStamp Image)
{
    private const int Position = 512;
    private const int CheckedLength = 52;

    private static ReadOnlySpan<byte> Magic => "GODWSESS"u8;

    /// <summary>Reads it; null when it is torn or was never written.</summary>
    /// <exception cref="StorageException">The file cannot be read.</exception>
    public static PointSession? Read(string path)
    {
        Span<byte> sector = stackalloc byte[CheckedLength + 4];
        try
        {
            using var handle = File.OpenHandle(path);
            if (RandomAccess.Read(handle, sector, Position) != sector.Length)
                return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw BitmapFile.Failed(path, "open", e);
        }

        if (!sector.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(sector[CheckedLength..]) != BitmapFile.Checksum(sector[..CheckedLength]))
        {
            return null;
        }

        return new PointSession(
            BinaryPrimitives.ReadUInt32LittleEndian(sector[8..]) == 1,
            new Guid(sector.Slice(12, 16)),
            new ImageStamp(
                BinaryPrimitives.ReadInt64LittleEndian(sector[28..]),
                BinaryPrimitives.ReadInt64LittleEndian(sector[36..]),
                BinaryPrimitives.ReadInt64LittleEndian(sector[44..])));
    }

    /// <summary>Writes it, behind everything written to the file before, and returns when it is on the medium.</summary>
    /// <exception cref="StorageException">The file system refused; the file holds either session, or a torn one.</exception>
    public void Write(string path)
    {
        Span<byte> sector = stackalloc byte[CheckedLength + 4];
        Magic.CopyTo(sector);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[8..], IsClosed ? 1u : 0u);
        Boot.TryWriteBytes(sector[12..]);
        BinaryPrimitives.WriteInt64LittleEndian(sector[28..], Image.Length);
        BinaryPrimitives.WriteInt64LittleEndian(sector[36..], Image.Modified);
        BinaryPrimitives.WriteInt64LittleEndian(sector[44..], Image.Inode);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[CheckedLength..], BitmapFile.Checksum(sector[..CheckedLength]));
        try
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(handle);
            RandomAccess.Write(handle, sector, Position);
            RandomAccess.FlushToDisk(handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw BitmapFile.Failed(path, "write", e);
        }
    }
}
