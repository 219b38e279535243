namespace Godwit.Storage.Formats.Vhd;

/// <summary>How the disk's bytes map to blocks, and what a block's place looks like: a bitmap of its sectors, then the sectors.</summary>
/// <param name="diskSize">Bytes of the disk.</param>
/// <param name="blockSize">Bytes per block; a power of two.</param>
internal sealed class VhdBlocks(long diskSize, int blockSize)
{
    private const int Page = 4096;

    public long DiskSize { get; } = diskSize;

    public int Size { get; } = blockSize;

    public int Shift { get; } = System.Numerics.BitOperations.Log2((uint)blockSize);

    public long Count { get; } = ((diskSize - 1) / blockSize) + 1;

    /// <summary>Bytes of a block's bitmap: one bit per sector, in whole sectors.</summary>
    public int BitmapLength { get; } = (int)VhdFormat.AlignUp((blockSize / VhdFormat.Sector + 7) / 8, VhdFormat.Sector);

    /// <summary>Bytes of a place.</summary>
    public long PlaceLength => BitmapLength + (long)Size;

    /// <summary>Places are put so that the sectors start on a page of the host. The few pages this costs are left out when they
    /// would push the last block of a full disk past what the table can address.</summary>
    public int Alignment => Size >= Page && Count * (VhdFormat.AlignUp(PlaceLength, Page) + 1) < VhdFormat.MaxFileLength - (1L << 30) ? Page : VhdFormat.Sector;

    /// <summary>From one place to the next.</summary>
    public long Step => VhdFormat.AlignUp(PlaceLength, Alignment);

    /// <summary>The first offset from there on where a place may be put.</summary>
    public long AlignPlace(long offset) => VhdFormat.AlignUp(offset + BitmapLength, Alignment) - BitmapLength;

    public long BlockAt(long diskOffset) => diskOffset >> Shift;

    public long StartOf(long block) => block << Shift;

    /// <summary>Bytes of a block that belong to the disk: fewer than the block size only for the last one.</summary>
    public long UsedLength(long block) => Math.Min(Size, DiskSize - StartOf(block));

    /// <summary>Where in the file a byte of a block is, given the block's place.</summary>
    public long DataAt(long place, long inBlock) => place + BitmapLength + inBlock;
}
