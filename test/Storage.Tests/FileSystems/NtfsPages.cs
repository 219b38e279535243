using System.Buffers.Binary;

namespace Godwit.Storage.Tests.FileSystems;

/// <summary>Gives an NTFS the journal of a volume that Windows has used: mkntfs leaves an empty one.</summary>
internal static class NtfsPages
{
    /// <summary>The image with a restart page at the start of $LogFile.</summary>
    /// <param name="volume">An NTFS with clusters of 4096 bytes and records of 1024.</param>
    /// <param name="inUse">A client has it open and it is not marked clean.</param>
    public static byte[] WithLog(byte[] volume, bool inUse)
    {
        const int RecordSize = 1024;
        var copy = (byte[])volume.Clone();
        var table = BinaryPrimitives.ReadInt64LittleEndian(volume.AsSpan(48)) * 4096;
        var record = volume.AsSpan((int)table + (2 * RecordSize), RecordSize);
        var at = (int)BinaryPrimitives.ReadUInt16LittleEndian(record[20..]);
        while (BinaryPrimitives.ReadUInt32LittleEndian(record[at..]) != 0x80)
            at += (int)BinaryPrimitives.ReadUInt32LittleEndian(record[(at + 4)..]);
        var pairs = record[(at + BinaryPrimitives.ReadUInt16LittleEndian(record[(at + 32)..]))..];
        var (countSize, offsetSize) = (pairs[0] & 15, pairs[0] >> 4);
        var cluster = 0;
        for (var index = offsetSize - 1; index >= 0; index--)
            cluster = (cluster << 8) | pairs[1 + countSize + index];
        for (var page = 0; page < 2; page++)
        {
            var bytes = copy.AsSpan((cluster * 4096) + (page * 4096), 512);
            bytes.Clear();
            "RSTR"u8.CopyTo(bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[16..], 4096);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[20..], 4096);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes[24..], 48);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[48..], (ulong)page + 1);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes[60..], 0);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes[62..], (ushort)(inUse && page == 1 ? 0 : 2));
        }

        return copy;
    }
}
