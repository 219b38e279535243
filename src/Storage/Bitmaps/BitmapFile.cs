using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Bitmaps;

/// <summary>The file of a <see cref="DirtyBitmap"/>: one page of header, then the bits as little-endian words.</summary>
/// <remarks>Header, all little-endian: magic (8 bytes), version (4), granularity (4), device length (8), CRC-32C of these 24
/// bytes (4). The second sector is left to the owner (<see cref="Tracking.PointSession"/>). The file is written with plain
/// writes, never through the map, so that a full disk is an error here and not a SIGBUS later; the header comes last, so a
/// file whose creation was cut short has none.</remarks>
internal static class BitmapFile
{
    public const int HeaderLength = 4096;
    private const uint Version = 1;
    private const int CheckedLength = 24;

    private static ReadOnlySpan<byte> Magic => "GODWBMAP"u8;

    public static void Create(string path, long deviceLength, int granularity, ReadOnlySpan<ulong> words)
    {
        var created = false;
        try
        {
            using var stream = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            created = true;
            RandomAccess.Write(stream.SafeFileHandle, MemoryMarshal.AsBytes(words), HeaderLength);
            RandomAccess.Write(stream.SafeFileHandle, Header(deviceLength, granularity), 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (created)
                File.Delete(path);
            throw Failed(path, "create", e);
        }
    }

    public static void Check(string path, long deviceLength, int granularity, int words)
    {
        Span<byte> header = stackalloc byte[CheckedLength + 4];
        long length;
        try
        {
            using var handle = File.OpenHandle(path);
            length = RandomAccess.GetLength(handle);
            if (RandomAccess.Read(handle, header, 0) != header.Length)
                throw Refused(path, "it is too short for a header");
        }
        catch (Exception e) when (e is not StorageException and (IOException or UnauthorizedAccessException))
        {
            throw Failed(path, "open", e);
        }

        var expected = Header(deviceLength, granularity).AsSpan(0, header.Length);
        if (!header.StartsWith(Magic))
            throw Refused(path, "it does not start with the bitmap's magic number");
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[CheckedLength..]) != Checksum(header[..CheckedLength]))
            throw Refused(path, "its header's checksum is wrong");
        if (!header.SequenceEqual(expected))
        {
            throw Refused(path, $"it was made for a device of {BinaryPrimitives.ReadInt64LittleEndian(header[16..])} bytes" +
                $" with version {BinaryPrimitives.ReadUInt32LittleEndian(header[8..])}, not for one of {deviceLength} bytes");
        }

        if (length != HeaderLength + ((long)words * sizeof(ulong)))
            throw Refused(path, $"it is {length} bytes long and should be {HeaderLength + ((long)words * sizeof(ulong))}");
    }

    private static byte[] Header(long deviceLength, int granularity)
    {
        var header = new byte[HeaderLength];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(12), granularity);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), deviceLength);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(CheckedLength), Checksum(header.AsSpan(0, CheckedLength)));
        return header;
    }

    /// <summary>CRC-32C.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }

    private static StorageException Refused(string path, string reason) => new(
        StorageErrorKind.Corrupt, $"this is no usable dirty bitmap: {reason}", path, operation: "open");

    public static StorageException Failed(string path, string operation, Exception e) => new(
        e switch
        {
            FileNotFoundException or DirectoryNotFoundException => StorageErrorKind.NotFound,
            UnauthorizedAccessException => StorageErrorKind.AccessDenied,

            // The runtime puts the system's error number there on Linux.
            _ => Errno.ToKind(e.HResult),
        },
        $"the dirty bitmap failed: {e.Message}", path, operation: operation, inner: e);
}
