namespace Godwit.Storage.FileSystems;

/// <summary>Which blocks of an ext file system hold its own structures: needed for groups whose bitmap was never written.</summary>
/// <remarks>With flex_bg a group's bitmaps and inode table may lie in any other group, so all descriptors are read once.</remarks>
internal sealed class ExtMetadataMap
{
    private const int MaxRanges = 1 << 18;
    private readonly List<(long Start, long End)> _ranges = [];
    private readonly ExtSuperblock _super;

    private ExtMetadataMap(ExtSuperblock super) => _super = super;

    /// <summary>Reads all descriptors.</summary>
    /// <exception cref="UnusableFileSystemException">They are damaged, too many, or the file system keeps copies in unusual places.</exception>
    public static async ValueTask<ExtMetadataMap> ReadAsync(PartitionReader reader, ExtSuperblock super, CancellationToken cancellationToken)
    {
        if (!super.HasPlainBackups)
            throw new UnusableFileSystemException("where it keeps its copies is not known here, so groups without a bitmap are left alone");
        var map = new ExtMetadataMap(super);
        var block = new byte[super.BlockSize];
        for (long group = 0; group < super.GroupCount; group++)
        {
            var index = (int)(group % super.DescriptorsPerBlock);
            if (index == 0)
                await reader.ReadAsync(ExtGroup.TableBlockOf(super, group), block, cancellationToken).ConfigureAwait(false);
            map.Add(ExtGroup.Parse(block.AsSpan(index * super.DescriptorSize, super.DescriptorSize)));
        }

        map.Merge();
        return map;
    }

    /// <summary>Sets the bits of a group's blocks that are in use although its bitmap was never written.</summary>
    public void Mark(long group, Span<byte> used)
    {
        var first = _super.FirstBlockOf(group);
        Mark(used, 0, StartOf(group));

        // The last range that starts at or before the group's first block.
        var at = _ranges.BinarySearch((first, long.MaxValue));
        for (at = Math.Max(0, at < 0 ? ~at - 1 : at); at < _ranges.Count && _ranges[at].Start < first + _super.BlocksPerGroup; at++)
            Mark(used, Math.Max(0, _ranges[at].Start - first), _ranges[at].End - first);
    }

    /// <summary>Blocks at the start of a group for copies of superblock and descriptors.</summary>
    private long StartOf(long group)
    {
        var copy = _super.HasCopy(group) ? 1 : 0;
        var perBlock = _super.DescriptorsPerBlock;
        if (group / perBlock < _super.FirstMetaGroup)
        {
            var table = Math.Min(_super.FirstMetaGroup, (_super.GroupCount + perBlock - 1) / perBlock);
            return copy * (1 + table + _super.ReservedTableBlocks);
        }

        // With meta_bg the first two groups and the last one of those a block describes have that block.
        var inBlock = group % perBlock;
        return copy + (inBlock <= 1 || inBlock == perBlock - 1 ? 1 : 0);
    }

    private static void Mark(Span<byte> used, long from, long to)
    {
        to = Math.Min(to, used.Length * 8L);
        for (var bit = from; bit < to; bit++)
            used[(int)(bit / 8)] |= (byte)(1 << (int)(bit % 8));
    }

    private void Add(ExtGroup group)
    {
        Add(group.BlockBitmap, 1);
        Add(group.InodeBitmap, 1);
        Add(group.InodeTable, _super.InodeTableBlocks);
    }

    private void Add(long start, long count)
    {
        if (start < _super.FirstDataBlock || start > _super.BlockCount - count)
            throw new UnusableFileSystemException("a group descriptor points outside the file system");
        _ranges.Add((start, start + count));
        if (_ranges.Count < 2 * MaxRanges)
            return;
        Merge();
        if (_ranges.Count > MaxRanges)
            throw new UnusableFileSystemException("its structures are in too many pieces, so groups without a bitmap are left alone");
    }

    private void Merge()
    {
        _ranges.Sort();
        var kept = 0;
        for (var index = 1; index < _ranges.Count; index++)
        {
            if (_ranges[index].Start <= _ranges[kept].End)
                _ranges[kept] = (_ranges[kept].Start, Math.Max(_ranges[kept].End, _ranges[index].End));
            else
                _ranges[++kept] = _ranges[index];
        }

        if (_ranges.Count > 0)
            _ranges.RemoveRange(kept + 1, _ranges.Count - kept - 1);
    }
}
