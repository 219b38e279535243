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
    public static async ValueTask<VhdImage> OpenAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var examined = await VhdExamination.RunAsync(file, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        if (examined.Sparse is not VhdExaminedBlocks sparse)
            return new VhdImage(examined.Footers, examined.DiskSize, null);
        var table = await VhdBlockTable.LoadAsync(file, sparse.Entries, cancellationToken).ConfigureAwait(false);
        return new VhdImage(examined.Footers, examined.DiskSize, new VhdSparseImage(sparse.Header, sparse.Blocks, table, sparse.Layout));
    }
}

/// <summary>What a dynamic or differencing disk has beyond its footer.</summary>
internal sealed record VhdSparseImage(VhdDynamicHeader Header, VhdBlocks Blocks, VhdBlockTable Table, VhdLayout Layout);
