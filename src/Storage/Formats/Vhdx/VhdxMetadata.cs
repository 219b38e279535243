using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What the metadata region says about the disk.</summary>
/// <remarks>[MS-VHDX] section 2.6. Items that are unknown and optional are left alone: the table is never rewritten.</remarks>
internal sealed record VhdxMetadata
{
    /// <summary>Bytes per payload block.</summary>
    public required int BlockSize { get; init; }

    /// <summary>Blocks stay allocated: a fixed disk.</summary>
    public required bool LeaveBlocksAllocated { get; init; }

    /// <summary>What the guest sees, in bytes.</summary>
    public required long DiskSize { get; init; }

    /// <summary>Identifies the disk to the guest.</summary>
    public required Guid DiskId { get; init; }

    public required int PhysicalSectorSize { get; init; }

    /// <summary>Where in the file the disk's size stands; 0 for a new file.</summary>
    public long DiskSizeOffset { get; init; }

    /// <summary>Reads and checks the region.</summary>
    /// <exception cref="StorageException">Corrupt, or Unsupported for what this version does not offer.</exception>
    public static async ValueTask<VhdxMetadata> ReadAsync(IStorageFile file, VhdxRegion region, CancellationToken cancellationToken)
    {
        var table = new byte[VhdxFormat.MetadataTableLength];
        await file.ReadAsync(region.Offset, table, cancellationToken).ConfigureAwait(false);
        var items = new VhdxMetadataTable(file, region, table);

        var parameters = await items.ReadAsync(VhdxFormat.FileParametersItem, "file parameters", 8, cancellationToken).ConfigureAwait(false);
        var blockSize = BinaryPrimitives.ReadUInt32LittleEndian(parameters);
        var flags = BinaryPrimitives.ReadUInt32LittleEndian(parameters.AsSpan(4));
        if ((flags & 2) != 0)
            throw items.Unsupported("differencing disks (with a parent) are not offered yet; merge it into its parent first");
        if (!VhdxFormat.IsPowerOfTwoBetween(blockSize, VhdxFormat.MinBlockSize, VhdxFormat.MaxBlockSize))
            throw items.Corrupt($"the block size {blockSize} is not a power of two from 1 to 256 MiB");

        var logical = await items.ReadAsync(VhdxFormat.LogicalSectorSizeItem, "logical sector size", 4, cancellationToken).ConfigureAwait(false);
        var physical = await items.ReadAsync(VhdxFormat.PhysicalSectorSizeItem, "physical sector size", 4, cancellationToken).ConfigureAwait(false);
        CheckSectors(items, BinaryPrimitives.ReadUInt32LittleEndian(logical), BinaryPrimitives.ReadUInt32LittleEndian(physical));

        var size = await items.ReadAsync(VhdxFormat.VirtualDiskSizeItem, "virtual disk size", 8, cancellationToken).ConfigureAwait(false);
        var diskSize = BinaryPrimitives.ReadInt64LittleEndian(size);
        if (diskSize is <= 0 or > VhdxFormat.MaxDiskSize || diskSize % 512 != 0)
            throw items.Corrupt($"the disk size {diskSize} is not whole sectors between 512 bytes and 64 TiB");

        var id = await items.ReadAsync(VhdxFormat.VirtualDiskIdItem, "virtual disk id", 16, cancellationToken).ConfigureAwait(false);
        return new VhdxMetadata
        {
            BlockSize = (int)blockSize,
            LeaveBlocksAllocated = (flags & 1) != 0,
            DiskSize = diskSize,
            DiskId = new Guid(id),
            PhysicalSectorSize = BinaryPrimitives.ReadInt32LittleEndian(physical),
            DiskSizeOffset = items.OffsetOf(VhdxFormat.VirtualDiskSizeItem),
        };
    }

    /// <summary>The table and the items of a new file: the first 128 KiB of the region.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[2 * VhdxFormat.MetadataTableLength];
        VhdxFormat.MetadataSignature.CopyTo(bytes);
        var writer = new VhdxMetadataTable.Writer(bytes);

        var parameters = writer.Add(VhdxFormat.FileParametersItem, 8, ofVirtualDisk: false);
        BinaryPrimitives.WriteInt32LittleEndian(parameters, BlockSize);
        BinaryPrimitives.WriteInt32LittleEndian(parameters[4..], LeaveBlocksAllocated ? 1 : 0);
        BinaryPrimitives.WriteInt64LittleEndian(writer.Add(VhdxFormat.VirtualDiskSizeItem, 8, ofVirtualDisk: true), DiskSize);
        DiskId.TryWriteBytes(writer.Add(VhdxFormat.VirtualDiskIdItem, 16, ofVirtualDisk: true));
        BinaryPrimitives.WriteInt32LittleEndian(writer.Add(VhdxFormat.LogicalSectorSizeItem, 4, ofVirtualDisk: true), 512);
        BinaryPrimitives.WriteInt32LittleEndian(writer.Add(VhdxFormat.PhysicalSectorSizeItem, 4, ofVirtualDisk: true), PhysicalSectorSize);
        return bytes;
    }

    private static void CheckSectors(VhdxMetadataTable items, uint logical, uint physical)
    {
        if (logical == 4096)
            throw items.Unsupported("disks with 4096-byte logical sectors are not offered yet");
        if (logical != 512)
            throw items.Corrupt($"the logical sector size {logical} is neither 512 nor 4096");
        if (physical is not (512 or 4096))
            throw items.Corrupt($"the physical sector size {physical} is neither 512 nor 4096");
    }
}
