namespace Godwit.Storage.Formats.Vhdx;

/// <summary>How the disk's bytes map to blocks and blocks to entries of the table.</summary>
/// <remarks>[MS-VHDX] sections 2.4 and 2.5: after every chunk of payload entries stands one entry for a sector bitmap.</remarks>
internal sealed class VhdxGeometry
{
    public VhdxGeometry(long diskSize, int blockSize)
    {
        DiskSize = diskSize;
        BlockSize = blockSize;
        BlockShift = System.Numerics.BitOperations.Log2((uint)blockSize);
        ChunkRatio = VhdxFormat.SectorsPerBitmapBlock * 512 / blockSize;
        BlockCount = (diskSize + blockSize - 1) >> BlockShift;
        EntryCount = BlockCount + ((BlockCount - 1) / ChunkRatio);
    }

    public long DiskSize { get; }

    public int BlockSize { get; }

    public int BlockShift { get; }

    /// <summary>Payload entries between two bitmap entries.</summary>
    public long ChunkRatio { get; }

    public long BlockCount { get; }

    /// <summary>Entries of the table, bitmap entries included.</summary>
    public long EntryCount { get; }

    /// <summary>Bytes the table needs, rounded up to whole MiB.</summary>
    public long TableLength => VhdxFormat.AlignUp(EntryCount * sizeof(ulong), VhdxFormat.MiB);

    public long EntryOf(long block) => block + (block / ChunkRatio);

    public bool IsBitmapEntry(long entry) => entry % (ChunkRatio + 1) == ChunkRatio;

    public long BlockOf(long entry) => entry - (entry / (ChunkRatio + 1));

    public long BlockAt(long diskOffset) => diskOffset >> BlockShift;

    public long StartOf(long block) => block << BlockShift;

    /// <summary>Bytes of a block that belong to the disk: fewer than the block size only for the last one.</summary>
    public long UsedLength(long block) => Math.Min(BlockSize, DiskSize - StartOf(block));
}
