using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>What the superblock of an ext file system says, checked.</summary>
/// <remarks>Linux' documentation of ext4, "Super Block".</remarks>
internal sealed record ExtSuperblock
{
    public const int Offset = 1024;
    public const int Length = 1024;
    public const ushort Magic = 0xEF53;
    public const int MagicAt = 56;

    private const uint CompatSparseSuper2 = 0x200;
    private const uint IncompatRecover = 0x4;
    private const uint IncompatMetaGroups = 0x10;
    private const uint IncompatExtents = 0x40;
    private const uint Incompat64Bit = 0x80;
    private const uint ReadOnlySparseSuper = 0x1;
    private const uint ReadOnlyGroupChecksums = 0x10;
    private const uint ReadOnlyMetadataChecksums = 0x400;
    private const uint CompatJournal = 0x4;

    // Filetype, recover, meta_bg, extents, 64bit, flex_bg, ea_inode, dirdata, csum_seed, largedir, inline_data, encrypt, casefold.
    private const uint KnownIncompat = 0x2 | IncompatRecover | IncompatMetaGroups | IncompatExtents | Incompat64Bit | 0x200 | 0x400 | 0x1000
        | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;

    // Sparse_super, large_file, btree_dir, huge_file, gdt_csum, dir_nlink, extra_isize, quota, metadata_csum, project, verity, orphans.
    private const uint KnownReadOnly = ReadOnlySparseSuper | 0x2 | 0x4 | 0x8 | ReadOnlyGroupChecksums | 0x20 | 0x40 | 0x100
        | ReadOnlyMetadataChecksums | 0x2000 | 0x8000 | 0x10000;

    public required string Name { get; init; }

    public required int BlockSize { get; init; }

    public required long BlockCount { get; init; }

    public required long FirstDataBlock { get; init; }

    public required int BlocksPerGroup { get; init; }

    public required int DescriptorSize { get; init; }

    /// <summary>Blocks of one group's inode table.</summary>
    public required long InodeTableBlocks { get; init; }

    public required int ReservedTableBlocks { get; init; }

    /// <summary>From this block of descriptors on, each lies in the groups it describes; beyond all of them when there are none.</summary>
    public required long FirstMetaGroup { get; init; }

    public required bool HasSparseSuper { get; init; }

    /// <summary>Flags of a group count, and tell of bitmaps that were never written.</summary>
    public required bool HasGroupFlags { get; init; }

    /// <summary>Where groups keep copies of superblock and descriptors follows the plain rule.</summary>
    public required bool HasPlainBackups { get; init; }

    public long GroupCount => (BlockCount - FirstDataBlock + BlocksPerGroup - 1) / BlocksPerGroup;

    public int DescriptorsPerBlock => BlockSize / DescriptorSize;

    public long FirstBlockOf(long group) => FirstDataBlock + (group * BlocksPerGroup);

    /// <summary>Whether a group starts with a copy of the superblock.</summary>
    public bool HasCopy(long group) => !HasSparseSuper || group <= 1 || IsPower(group, 3) || IsPower(group, 5) || IsPower(group, 7);

    /// <summary>Takes a superblock apart.</summary>
    /// <exception cref="UnusableFileSystemException">What it says cannot be relied on, and why.</exception>
    public static ExtSuperblock Parse(ReadOnlySpan<byte> bytes, long partitionLength)
    {
        var (compat, incompat, readOnly) = (U32(bytes, 92), U32(bytes, 96), U32(bytes, 100));
        CheckClean(bytes, incompat);
        if (U32(bytes, 76) == 0)
            (compat, incompat, readOnly) = (0, 0, 0);
        if ((incompat & ~KnownIncompat) != 0 || (readOnly & ~KnownReadOnly) != 0)
        {
            throw new UnusableFileSystemException(
                $"it has features that are not known here (0x{incompat & ~KnownIncompat:x} and 0x{readOnly & ~KnownReadOnly:x})");
        }

        if (U32(bytes, 24) > 6 || U32(bytes, 28) != U32(bytes, 24))
            throw new UnusableFileSystemException("its block size is none that is known");
        var blockSize = 1024 << (int)U32(bytes, 24);
        var super = new ExtSuperblock
        {
            Name = (incompat & IncompatExtents) != 0 ? "ext4" : (compat & CompatJournal) != 0 ? "ext3" : "ext2",
            BlockSize = blockSize,
            BlockCount = U32(bytes, 4) | (long)((incompat & Incompat64Bit) != 0 ? U32(bytes, 336) & 0x7fff : 0) << 32,
            FirstDataBlock = U32(bytes, 20),
            BlocksPerGroup = U32(bytes, 32) <= 8u * (uint)blockSize ? (int)U32(bytes, 32) : 0,
            DescriptorSize = (incompat & Incompat64Bit) != 0 ? U16(bytes, 254) : 32,
            InodeTableBlocks = ((U32(bytes, 40) * (long)(U32(bytes, 76) == 0 ? 128 : U16(bytes, 88))) + blockSize - 1) / blockSize,
            ReservedTableBlocks = U16(bytes, 206),
            FirstMetaGroup = (incompat & IncompatMetaGroups) != 0 ? U32(bytes, 260) : long.MaxValue,
            HasSparseSuper = (readOnly & ReadOnlySparseSuper) != 0,
            HasGroupFlags = (readOnly & (ReadOnlyGroupChecksums | ReadOnlyMetadataChecksums)) != 0,
            HasPlainBackups = (compat & CompatSparseSuper2) == 0,
        };
        super.CheckNumbers(partitionLength);
        return super;
    }

    private static void CheckClean(ReadOnlySpan<byte> bytes, uint incompat)
    {
        const int Valid = 1;
        const int HasErrors = 2;
        if ((incompat & IncompatRecover) != 0)
            throw new UnusableFileSystemException("its journal waits to be replayed: it was in use when the disk was switched off; mount it once");
        var state = U16(bytes, 58);
        if ((state & HasErrors) != 0)
            throw new UnusableFileSystemException("it is marked as having errors; check it first");
        if ((state & Valid) == 0)
            throw new UnusableFileSystemException("it was not unmounted");
    }

    private static bool IsPower(long value, long of)
    {
        while (value % of == 0 && value > 1)
            value /= of;
        return value == 1;
    }

    private void CheckNumbers(long partitionLength)
    {
        if (BlocksPerGroup < 8 || BlocksPerGroup % 8 != 0)
            throw new UnusableFileSystemException("its groups have an impossible size");
        if (DescriptorSize is < 32 or > 1024 || (DescriptorSize & (DescriptorSize - 1)) != 0)
            throw new UnusableFileSystemException("its group descriptors have an impossible size");
        if (FirstDataBlock != (BlockSize == 1024 ? 1 : 0) || BlockCount <= FirstDataBlock)
            throw new UnusableFileSystemException("its first block is at an impossible place");
        if (BlockCount > partitionLength / BlockSize)
            throw new UnusableFileSystemException($"it has {BlockCount} blocks of {BlockSize} bytes, more than its partition of {partitionLength} bytes");
    }
}
