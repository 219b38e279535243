using System.Buffers.Binary;

namespace Godwit.Storage.Partitions;

/// <summary>One copy of a GUID partition table: a header and the entries it names, both with the right checksum.</summary>
/// <remarks>UEFI specification 5.3. All LBAs of a header that was accepted lie within the disk's sectors.</remarks>
/// <param name="header">One sector.</param>
/// <param name="entries">The array of entries.</param>
/// <param name="sectorSize">Bytes per sector.</param>
internal sealed class GptCopy(byte[] header, byte[] entries, int sectorSize)
{
    /// <summary>Bytes per sector the LBAs count.</summary>
    public int SectorSize => sectorSize;

    /// <summary>The sector with the header.</summary>
    public byte[] Header => header;

    /// <summary>The array of entries, without padding to whole sectors.</summary>
    public byte[] Entries => entries;

    /// <summary>Where this header is.</summary>
    public long MyLba => Long(GptLayout.MyLba);

    /// <summary>Where the other copy's header is; not checked.</summary>
    public ulong AlternateLba => BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GptLayout.AlternateLba));

    /// <summary>First sector that partitions may use.</summary>
    public ulong FirstUsable => BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GptLayout.FirstUsable));

    /// <summary>Last sector that partitions may use.</summary>
    public ulong LastUsable => BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GptLayout.LastUsable));

    /// <summary>Identifies the disk; the same in both copies.</summary>
    public Guid DiskId => new(header.AsSpan(GptLayout.DiskId, 16));

    /// <summary>Where the entries are.</summary>
    public long EntriesLba => Long(GptLayout.EntriesLba);

    /// <summary>Sectors the entries fill.</summary>
    public long EntriesSectors => (entries.Length + sectorSize - 1) / sectorSize;

    /// <summary>Bytes per entry.</summary>
    public int EntrySize => BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(GptLayout.EntrySize));

    private long Long(int at) => BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(at));
}
