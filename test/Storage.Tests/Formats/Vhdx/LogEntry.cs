using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A log entry made by hand.</summary>
/// <param name="Sector">Where in the log, in 4 KiB.</param>
/// <param name="Sequence">Its number.</param>
/// <param name="Tail">Where the oldest entry it needs is, in 4 KiB.</param>
/// <param name="Log">The log's name.</param>
/// <param name="Flushed">Length of the file that is stable.</param>
/// <param name="Last">Length of the file that holds everything.</param>
/// <param name="Changes">What it changes.</param>
internal sealed record LogEntry(int Sector, ulong Sequence, int Tail, Guid Log, long Flushed, long Last, LogChange[] Changes)
{
    public byte[] ToBytes()
    {
        var pages = Changes.Count(change => change.Fill is not null);
        var sectors = Changes.Length <= 126 ? 1 : 1 + ((Changes.Length - 126 + 127) / 128);
        var bytes = new byte[(sectors + pages) * VhdxFormat.PageSize];
        new VhdxLogEntryHeader((uint)bytes.Length, (uint)(Tail * VhdxFormat.PageSize), Sequence, (uint)Changes.Length, Log, Flushed, Last).Write(bytes);
        var page = sectors;
        for (var index = 0; index < Changes.Length; index++)
        {
            var descriptor = bytes.AsSpan(64 + (index * 32), 32);
            if (Changes[index].Fill is byte fill)
            {
                var sector = bytes.AsSpan(page++ * VhdxFormat.PageSize, VhdxFormat.PageSize);
                sector.Fill(fill);
                VhdxLogDescriptor.WriteData(descriptor, sector, Changes[index].FileOffset, Sequence);
                continue;
            }

            BinaryPrimitives.WriteUInt32LittleEndian(descriptor, VhdxFormat.ZeroDescriptorSignature);
            BinaryPrimitives.WriteInt64LittleEndian(descriptor[8..], Changes[index].ZeroLength);
            BinaryPrimitives.WriteInt64LittleEndian(descriptor[16..], Changes[index].FileOffset);
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor[24..], Sequence);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Crc32C.OfStructure(bytes, 4));
        return bytes;
    }
}
