using System.Buffers.Binary;

namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    /// <inheritdoc/>
    /// <remarks>The table must have room for the new blocks: the first MiB of it serves 4 TiB of 32 MiB blocks.</remarks>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        var old = Geometry;
        if (length == old.DiskSize)
            return;
        if (length > VhdxFormat.MaxDiskSize)
            throw CannotGrow(StorageErrorKind.InvalidRequest, $"{length} bytes is more than the format's 64 TiB");
        if (_parentLength > old.DiskSize)
        {
            throw CannotGrow(StorageErrorKind.Unsupported,
                $"the parent has {_parentLength} bytes, more than this disk's {old.DiskSize}: growing would show its bytes; merge or convert first");
        }

        var grown = old.Resized(length);
        if (grown.EntryCount > _batRegion.Length / sizeof(ulong))
        {
            throw CannotGrow(StorageErrorKind.Unsupported,
                $"the block allocation table has room for {_batRegion.Length / sizeof(ulong)} entries, {length} bytes need {grown.EntryCount};"
                + " copy the disk to a new, bigger one");
        }

        await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        var lastBlock = old.BlockCount - 1;
        using var holder = await _locks.AcquireAsync(old.StartOf(lastBlock), BlockSize, cancellationToken).ConfigureAwait(false);
        await ClearBehindEndAsync(old, lastBlock, cancellationToken).ConfigureAwait(false);
        if (!await _table.TryPrepareGrowthAsync(_file, grown, cancellationToken).ConfigureAwait(false))
            throw CannotGrow(StorageErrorKind.Unsupported, "the block allocation table has entries behind the end of the disk");

        var size = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(size, length);
        await _session.CommitBytesAsync(_metadata.DiskSizeOffset, size).ConfigureAwait(false);
        _table.Grow(grown);
    }

    /// <summary>Zeroes the part of the last block that the guest could not see so far; another program may have left bytes there.</summary>
    private async ValueTask ClearBehindEndAsync(VhdxGeometry old, long lastBlock, CancellationToken cancellationToken)
    {
        var entry = await _table.GetAsync(lastBlock, cancellationToken).ConfigureAwait(false);
        var used = old.UsedLength(lastBlock);
        if (!entry.IsPresent || used == BlockSize)
            return;
        await _space.EnsureLengthAsync(entry.Offset + BlockSize, cancellationToken).ConfigureAwait(false);
        await _file.PunchHoleAsync(entry.Offset + used, BlockSize - used, cancellationToken).ConfigureAwait(false);
        _session.Changed();
    }

    private StorageException CannotGrow(StorageErrorKind kind, string reason) => new(kind, reason, Path, operation: "resize");
}
