using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What the metadata region says about the disk.</summary>
/// <remarks>[MS-VHDX] section 2.6. Items that are unknown and optional are left alone: the table is never rewritten.</remarks>
internal sealed record VhdxMetadata
{
    private const int LeaveAllocatedFlag = 1;
    private const int HasParentFlag = 2;

    /// <summary>Bytes per payload block.</summary>
    public required int BlockSize { get; init; }

    /// <summary>Blocks stay allocated.</summary>
    public required bool LeaveBlocksAllocated { get; init; }

    /// <summary>What the guest sees, in bytes.</summary>
    public required long DiskSize { get; init; }

    /// <summary>Identifies the disk to the guest.</summary>
    public required Guid DiskId { get; init; }

    public required int LogicalSectorSize { get; init; }

    public required int PhysicalSectorSize { get; init; }

    /// <summary>How a differencing disk names its parent; null for every other one.</summary>
    public VhdxParentLocator? Parent { get; init; }

    /// <summary>For a new file: what it takes over from its parent.</summary>
    public IReadOnlyList<VhdxMetadataItem> Others { get; init; } = [];

    /// <summary>A fixed disk: all blocks are there and stay. The flag means nothing in a differencing disk.</summary>
    public bool IsFixed => LeaveBlocksAllocated && Parent is null;

    /// <summary>Where in the file the disk's size stands; 0 for a new file.</summary>
    public long DiskSizeOffset { get; init; }

    /// <summary>Where the disk's bytes are in terms of the table.</summary>
    public VhdxGeometry ToGeometry() => new(DiskSize, BlockSize, LogicalSectorSize, Parent is not null);

    /// <summary>Reads and checks the region.</summary>
    /// <exception cref="StorageException">Corrupt, or Unsupported for what this version does not offer.</exception>
    public static async ValueTask<VhdxMetadata> ReadAsync(IStorageFile file, VhdxRegion region, CancellationToken cancellationToken)
    {
        var items = await ReadTableAsync(file, region, cancellationToken).ConfigureAwait(false);
        var parameters = await items.ReadAsync(VhdxFormat.FileParametersItem, "file parameters", 8, cancellationToken).ConfigureAwait(false);
        var blockSize = BinaryPrimitives.ReadUInt32LittleEndian(parameters);
        var flags = BinaryPrimitives.ReadUInt32LittleEndian(parameters.AsSpan(4));
        if (!VhdxFormat.IsPowerOfTwoBetween(blockSize, VhdxFormat.MinBlockSize, VhdxFormat.MaxBlockSize))
            throw items.Corrupt($"the block size {blockSize} is not a power of two from 1 to 256 MiB");

        var logical = await items.ReadAsync(VhdxFormat.LogicalSectorSizeItem, "logical sector size", 4, cancellationToken).ConfigureAwait(false);
        var physical = await items.ReadAsync(VhdxFormat.PhysicalSectorSizeItem, "physical sector size", 4, cancellationToken).ConfigureAwait(false);
        CheckSectors(items, BinaryPrimitives.ReadUInt32LittleEndian(logical), BinaryPrimitives.ReadUInt32LittleEndian(physical));
        var sectorSize = BinaryPrimitives.ReadInt32LittleEndian(logical);

        var size = await items.ReadAsync(VhdxFormat.VirtualDiskSizeItem, "virtual disk size", 8, cancellationToken).ConfigureAwait(false);
        var diskSize = BinaryPrimitives.ReadInt64LittleEndian(size);
        if (diskSize is <= 0 or > VhdxFormat.MaxDiskSize || diskSize % sectorSize != 0)
            throw items.Corrupt($"the disk size {diskSize} is not whole sectors of {sectorSize} bytes up to 64 TiB");

        var id = await items.ReadAsync(VhdxFormat.VirtualDiskIdItem, "virtual disk id", 16, cancellationToken).ConfigureAwait(false);
        return new VhdxMetadata
        {
            BlockSize = (int)blockSize,
            LeaveBlocksAllocated = (flags & LeaveAllocatedFlag) != 0,
            Parent = (flags & HasParentFlag) == 0 ? null : await ReadLocatorAsync(items, cancellationToken).ConfigureAwait(false),
            DiskSize = diskSize,
            DiskId = new Guid(id),
            LogicalSectorSize = sectorSize,
            PhysicalSectorSize = BinaryPrimitives.ReadInt32LittleEndian(physical),
            DiskSizeOffset = items.OffsetOf(VhdxFormat.VirtualDiskSizeItem),
        };
    }

    /// <summary>Reads and checks the region's list of items.</summary>
    public static async ValueTask<VhdxMetadataTable> ReadTableAsync(IStorageFile file, VhdxRegion region, CancellationToken cancellationToken)
    {
        var table = GC.AllocateUninitializedArray<byte>(VhdxFormat.MetadataTableLength);
        await file.ReadAsync(region.Offset, table, cancellationToken).ConfigureAwait(false);
        return new VhdxMetadataTable(file, region, table);
    }

    /// <summary>The table and the items of a new file: the first part of the region.</summary>
    public byte[] ToBytes()
    {
        var locator = Parent?.ToBytes() ?? [];
        var bytes = new byte[(2 * VhdxFormat.MetadataTableLength) + locator.Length + Others.Sum(static item => item.Bytes.Length)];
        VhdxFormat.MetadataSignature.CopyTo(bytes);
        var writer = new VhdxMetadataTable.Writer(bytes);

        var parameters = writer.Add(VhdxFormat.FileParametersItem, 8, ofVirtualDisk: false);
        BinaryPrimitives.WriteInt32LittleEndian(parameters, BlockSize);
        BinaryPrimitives.WriteInt32LittleEndian(parameters[4..], (LeaveBlocksAllocated ? LeaveAllocatedFlag : 0) | (Parent is null ? 0 : HasParentFlag));
        BinaryPrimitives.WriteInt64LittleEndian(writer.Add(VhdxFormat.VirtualDiskSizeItem, 8, ofVirtualDisk: true), DiskSize);
        DiskId.TryWriteBytes(writer.Add(VhdxFormat.VirtualDiskIdItem, 16, ofVirtualDisk: true));
        BinaryPrimitives.WriteInt32LittleEndian(writer.Add(VhdxFormat.LogicalSectorSizeItem, 4, ofVirtualDisk: true), LogicalSectorSize);
        BinaryPrimitives.WriteInt32LittleEndian(writer.Add(VhdxFormat.PhysicalSectorSizeItem, 4, ofVirtualDisk: true), PhysicalSectorSize);
        if (locator.Length > 0)
            locator.CopyTo(writer.Add(VhdxFormat.ParentLocatorItem, locator.Length, ofVirtualDisk: false));
        foreach (var item in Others)
            writer.Add(item);
        return bytes;
    }

    private static async ValueTask<VhdxParentLocator> ReadLocatorAsync(VhdxMetadataTable items, CancellationToken cancellationToken)
    {
        var item = await items.ReadWholeAsync(VhdxFormat.ParentLocatorItem, "parent locator", cancellationToken).ConfigureAwait(false);
        return VhdxParentLocator.Parse(item, (kind, reason) => kind == StorageErrorKind.Corrupt ? items.Corrupt(reason) : items.Unsupported(reason));
    }

    private static void CheckSectors(VhdxMetadataTable items, uint logical, uint physical)
    {
        if (logical is not (512 or 4096))
            throw items.Corrupt($"the logical sector size {logical} is neither 512 nor 4096");
        if (physical is not (512 or 4096))
            throw items.Corrupt($"the physical sector size {physical} is neither 512 nor 4096");
    }
}
