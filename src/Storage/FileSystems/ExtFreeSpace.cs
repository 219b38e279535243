using System.Numerics;

namespace Godwit.Storage.FileSystems;

/// <summary>Free blocks of an ext2, ext3 or ext4: the block bitmap of each group.</summary>
/// <remarks>Linux' documentation of ext4, "Block and Inode Allocation", "Block Group Descriptors". A group whose bitmap and
/// descriptor disagree counts as used.</remarks>
internal sealed class ExtFreeSpace : FreeSpace
{
    private const int BlockUninitialized = 2;
    private readonly PartitionReader _reader;
    private readonly ExtSuperblock _super;
    private ExtMetadataMap? _metadata;

    private ExtFreeSpace(PartitionReader reader, ExtSuperblock super)
        : base(super.Name, super.FirstDataBlock * super.BlockSize, super.BlockSize, super.BlockCount - super.FirstDataBlock, super.BlocksPerGroup)
    {
        _reader = reader;
        _super = super;
    }

    /// <summary>Opens the map of a partition with the signature of an ext file system.</summary>
    /// <exception cref="UnusableFileSystemException">It is not clean, damaged, or has a feature that is not known here.</exception>
    public static async ValueTask<ExtFreeSpace> OpenAsync(PartitionReader reader, CancellationToken cancellationToken) =>
        new(reader, ExtSuperblock.Parse(
            await reader.ReadAsync(ExtSuperblock.Offset, ExtSuperblock.Length, cancellationToken).ConfigureAwait(false), reader.Length));

    /// <inheritdoc/>
    protected override async ValueTask FillAsync(long piece, Memory<byte> used, CancellationToken cancellationToken)
    {
        var group = await ExtGroup.ReadAsync(_reader, _super, piece, cancellationToken).ConfigureAwait(false);
        var count = (int)Math.Min(ClustersPerPiece, ClusterCount - (piece * ClustersPerPiece));
        if (_super.HasGroupFlags && (group.Flags & BlockUninitialized) != 0)
        {
            _metadata ??= await ExtMetadataMap.ReadAsync(_reader, _super, cancellationToken).ConfigureAwait(false);
            used.Span.Clear();
            _metadata.Mark(piece, used.Span);
        }
        else
        {
            if (group.BlockBitmap < _super.FirstDataBlock || group.BlockBitmap >= _super.BlockCount)
                throw new UnusableFileSystemException($"the block bitmap of group {piece} is outside the file system");
            await _reader.ReadAsync(group.BlockBitmap * _super.BlockSize, used, cancellationToken).ConfigureAwait(false);
            var own = group.BlockBitmap - _super.FirstDataBlock - (piece * ClustersPerPiece);
            if (own >= 0 && own < count && (used.Span[(int)own / 8] & (1 << ((int)own % 8))) == 0)
                throw new UnusableFileSystemException($"the block bitmap of group {piece} calls itself free");
        }

        if (CountFree(used.Span, count) != group.FreeBlocks)
            throw new UnusableFileSystemException($"the block bitmap of group {piece} does not have the {group.FreeBlocks} free blocks its descriptor says");
    }

    private static int CountFree(ReadOnlySpan<byte> used, int count)
    {
        var free = 0;
        for (var index = 0; index < count / 8; index++)
            free += 8 - BitOperations.PopCount(used[index]);
        for (var bit = count / 8 * 8; bit < count; bit++)
            free += (used[bit / 8] & (1 << (bit % 8))) == 0 ? 1 : 0;
        return free;
    }
}
