using Godwit.Storage.Chains;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Exchanges what a differencing disk says about its parent.</summary>
/// <remarks>The header has two sectors, so it cannot be overwritten in one step. A second one is put behind the blocks; the
/// footer, which is one sector, points there while the first one is written, and back again. The copy of the footer stays
/// as it is: it rules only when there is no footer at the end, and there always is one.</remarks>
internal static class VhdRelink
{
    private const long HeaderHome = VhdFormat.FooterLength;

    public static async ValueTask RunAsync(IStorageFile file, ParentLink parent, string parentName, CancellationToken cancellationToken)
    {
        var image = await VhdImage.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        if (image.Sparse is not VhdSparseImage sparse || image.Footer.Kind != VhdKind.Differencing)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest, "this is no differencing disk, so it has no parent to be set", file.Path, operation: "set parent");
        }

        var kept = Enumerable.Range(0, VhdFormat.LocatorCount).Select(sparse.Header.Locator).Where(static one => one is { IsUsed: true, IsUnderstood: false });
        image = await VhdRepair.RunAsync(file, image, cancellationToken).ConfigureAwait(false);
        var spare = image.Footers.End + VhdFormat.FooterLength;
        var paths = new VhdParentPaths(file.Path, parent, parentName, kept, spare + VhdFormat.HeaderLength);
        var header = paths.ApplyTo(sparse.Header).ToBytes();
        var home = HomeOf(image);
        var end = paths.End;

        await file.SetLengthAsync(end + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
        await paths.WriteAsync(file, cancellationToken).ConfigureAwait(false);
        await file.WriteAsync(spare, header, cancellationToken).ConfigureAwait(false);
        await WriteFooterAsync(file, end, image.Footer, cancellationToken).ConfigureAwait(false);
        await WriteFooterAsync(file, end, image.Footer.WithDataOffset(spare), cancellationToken).ConfigureAwait(false);
        await file.WriteAsync(home, header, cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        await WriteFooterAsync(file, end, image.Footer.WithDataOffset(home), cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask WriteFooterAsync(IStorageFile file, long at, VhdFooter footer, CancellationToken cancellationToken)
    {
        await file.WriteAsync(at, footer.ToBytes(), cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Where the header belongs: behind the copy of the footer, if nobody else is there.</summary>
    private static long HomeOf(VhdImage image)
    {
        var at = (long)image.Footer.DataOffset;
        return at != HeaderHome && image.Sparse!.Layout.Gaps.Exists(static gap => gap.Start <= HeaderHome && gap.End >= HeaderHome + VhdFormat.HeaderLength)
            ? HeaderHome
            : at;
    }
}
