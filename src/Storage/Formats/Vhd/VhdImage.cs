using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Everything an open reads, checked.</summary>
/// <param name="Footers">The footer that rules.</param>
/// <param name="DiskSize">Bytes of the disk.</param>
/// <param name="Sparse">What a dynamic or differencing disk has on top; null for a fixed one.</param>
internal sealed record VhdImage(VhdFooters Footers, long DiskSize, VhdSparseImage? Sparse)
{
    public VhdFooter Footer => Footers.Current;

    /// <summary>Reads an image.</summary>
    public static async ValueTask<VhdImage> OpenAsync(IStorageFile file, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var footers = await VhdFooters.ReadAsync(file, findings, cancellationToken).ConfigureAwait(false);
        var size = CheckSize(file, footers);
        if (footers.Current.IsSavedState)
            findings.Information(footers.End, "the disk belongs to a virtual machine in saved state; changing it may break that state");
        if (footers.Current.SizeIsGeometry && footers.Current.CurrentSize != (ulong)size)
        {
            findings.Information(footers.End,
                $"the footer says {footers.Current.CurrentSize} bytes, the geometry {size}; the creator \"{footers.Current.Creator}\" goes by the geometry");
        }

        if (footers.Current.Kind == VhdKind.Fixed)
            return new VhdImage(footers, size, null);
        var header = await VhdDynamicHeader.ReadAsync(file, footers.Current, cancellationToken).ConfigureAwait(false);
        var blocks = new VhdBlocks(size, (int)header.BlockSize);
        var table = await VhdBlockTable.LoadAsync(file, header, blocks.Count, footers.End, cancellationToken).ConfigureAwait(false);
        var layout = VhdLayout.Examine(footers, header, blocks, table, findings);
        return new VhdImage(footers, size, new VhdSparseImage(header, blocks, table, layout));
    }

    /// <summary>The size of the disk, checked for what this program can handle and the file can hold.</summary>
    public static long CheckSize(IStorageFile file, VhdFooters footers)
    {
        var size = footers.Current.DiskSize;
        if (size > VhdFormat.MaxDiskSize)
            throw Refuse(StorageErrorKind.Unsupported, $"the disk has {size} bytes, the format's limit is 2040 GiB");
        if (size == 0 || size % VhdFormat.Sector != 0)
            throw Refuse(StorageErrorKind.Corrupt, $"the disk has {size} bytes, which is not whole sectors above zero");
        if (footers.Current.Kind == VhdKind.Fixed && size > (ulong)footers.End)
            throw Refuse(StorageErrorKind.Corrupt, $"the fixed disk has {size} bytes, but the file only {footers.End} in front of its footer; a part of it is missing");
        return (long)size;

        StorageException Refuse(StorageErrorKind kind, string reason) => new(kind, reason, file.Path, footers.End, "open");
    }
}

/// <summary>What a dynamic or differencing disk has beyond its footer.</summary>
internal sealed record VhdSparseImage(VhdDynamicHeader Header, VhdBlocks Blocks, VhdBlockTable Table, VhdLayout Layout);
