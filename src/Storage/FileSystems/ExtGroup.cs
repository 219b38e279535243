using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>What the descriptor of one group of an ext file system says.</summary>
/// <remarks>Linux' documentation of ext4, "Block Group Descriptors". Numbers are blocks of the file system, as they stand there.</remarks>
internal readonly record struct ExtGroup(long BlockBitmap, long InodeBitmap, long InodeTable, int FreeBlocks, int Flags)
{
    /// <summary>Reads the descriptor of a group.</summary>
    /// <exception cref="UnusableFileSystemException">It is not inside the partition.</exception>
    public static async ValueTask<ExtGroup> ReadAsync(
        PartitionReader reader, ExtSuperblock super, long group, CancellationToken cancellationToken)
    {
        var bytes = await reader.ReadAsync(OffsetOf(super, group), super.DescriptorSize, cancellationToken).ConfigureAwait(false);
        return Parse(bytes);
    }

    /// <summary>Where in the partition the block of descriptors is that holds a group's.</summary>
    public static long TableBlockOf(ExtSuperblock super, long group)
    {
        var block = group / super.DescriptorsPerBlock;
        if (block < super.FirstMetaGroup)
            return (super.FirstDataBlock + 1 + block) * super.BlockSize;
        var home = block * super.DescriptorsPerBlock;
        return (super.FirstBlockOf(home) + (super.HasCopy(home) ? 1 : 0)) * super.BlockSize;
    }

    public static ExtGroup Parse(ReadOnlySpan<byte> bytes)
    {
        var wide = bytes.Length >= 64;
        return new ExtGroup(
            U32(bytes, 0) | (wide ? (long)U32(bytes, 32) << 32 : 0),
            U32(bytes, 4) | (wide ? (long)U32(bytes, 36) << 32 : 0),
            U32(bytes, 8) | (wide ? (long)U32(bytes, 40) << 32 : 0),
            U16(bytes, 12) | (wide ? U16(bytes, 44) << 16 : 0),
            U16(bytes, 18));
    }

    private static long OffsetOf(ExtSuperblock super, long group) =>
        TableBlockOf(super, group) + (group % super.DescriptorsPerBlock * super.DescriptorSize);
}
