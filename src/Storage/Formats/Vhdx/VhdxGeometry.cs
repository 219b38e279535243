namespace Godwit.Storage.Formats.Vhdx;

/// <summary>How the disk's bytes map to blocks and sectors, and these to entries of the table and bits of the sector bitmaps.</summary>
/// <remarks>[MS-VHDX] sections 2.4 and 2.5: after every chunk of payload entries stands one entry for a sector bitmap. A disk with
/// a parent has one for its last chunk too, and entries for all of that chunk.</remarks>
internal sealed class VhdxGeometry
{
    public VhdxGeometry(long diskSize, int blockSize, int sectorSize = 512, bool hasParent = false)
    {
        DiskSize = diskSize;
        BlockSize = blockSize;
        SectorSize = sectorSize;
        HasParent = hasParent;
        BlockShift = System.Numerics.BitOperations.Log2((uint)blockSize);
        SectorShift = System.Numerics.BitOperations.Log2((uint)sectorSize);
        ChunkRatio = VhdxFormat.SectorsPerBitmapBlock * sectorSize / blockSize;
        BlockCount = (diskSize + blockSize - 1) >> BlockShift;
        ChunkCount = (BlockCount + ChunkRatio - 1) / ChunkRatio;
        EntryCount = hasParent ? ChunkCount * (ChunkRatio + 1) : BlockCount + ((BlockCount - 1) / ChunkRatio);
    }

    public long DiskSize { get; }

    public int BlockSize { get; }

    public int BlockShift { get; }

    /// <summary>Bytes of a logical sector: what one bit of a sector bitmap stands for.</summary>
    public int SectorSize { get; }

    public int SectorShift { get; }

    /// <summary>The disk differs from a parent: blocks that are not present, and sectors whose bit is clear, are the parent's.</summary>
    public bool HasParent { get; }

    /// <summary>Payload entries between two bitmap entries.</summary>
    public long ChunkRatio { get; }

    public long BlockCount { get; }

    /// <summary>Chunks that have at least one block of the disk.</summary>
    public long ChunkCount { get; }

    /// <summary>Entries of the table, bitmap entries included.</summary>
    public long EntryCount { get; }

    /// <summary>Bytes the table needs, rounded up to whole MiB.</summary>
    public long TableLength => VhdxFormat.AlignUp(EntryCount * sizeof(ulong), VhdxFormat.MiB);

    /// <summary>The same disk with another size.</summary>
    public VhdxGeometry Resized(long diskSize) => new(diskSize, BlockSize, SectorSize, HasParent);

    public long EntryOf(long block) => block + (block / ChunkRatio);

    public bool IsBitmapEntry(long entry) => entry % (ChunkRatio + 1) == ChunkRatio;

    /// <summary>The entry of the sector bitmap of a chunk.</summary>
    public long BitmapEntryOf(long chunk) => (chunk * (ChunkRatio + 1)) + ChunkRatio;

    public long ChunkOf(long block) => block / ChunkRatio;

    public long BlockOf(long entry) => entry - (entry / (ChunkRatio + 1));

    /// <summary>A payload entry of the last chunk that no block of the disk has.</summary>
    public bool IsBehindEnd(long entry) => !IsBitmapEntry(entry) && BlockOf(entry) >= BlockCount;

    public long BlockAt(long diskOffset) => diskOffset >> BlockShift;

    public long StartOf(long block) => block << BlockShift;

    public long SectorAt(long diskOffset) => diskOffset >> SectorShift;

    /// <summary>Bytes of a block that belong to the disk: fewer than the block size only for the last one.</summary>
    public long UsedLength(long block) => Math.Min(BlockSize, DiskSize - StartOf(block));
}
