using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Makes a disk smaller: fixed, dynamic or differencing. Offline; a parent is not needed.</summary>
/// <remarks>One sector decides the size: the footer at the end of the file. The order and the reasons are in docs/design/resize.md.</remarks>
internal static class VhdShrink
{
    /// <summary>Shrinks, or finishes what an interrupted run has begun when the disk has that size already.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's.</param>
    /// <param name="length">The new size in bytes: whole sectors above zero, not above the present size.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">As for opening; InvalidRequest for the size; or the file failed: the disk has the old size
    /// or the new one.</exception>
    public static async ValueTask RunAsync(IStorageFile file, long length, CancellationToken cancellationToken)
    {
        var image = await OpenAsync(file, cancellationToken).ConfigureAwait(false);
        if (length <= 0 || length > image.DiskSize || length % VhdFormat.Sector != 0)
        {
            throw new StorageException(StorageErrorKind.InvalidRequest,
                $"the size {length} is not whole {VhdFormat.Sector}-byte sectors up to {image.DiskSize}", file.Path, operation: "resize");
        }

        cancellationToken.ThrowIfCancellationRequested();
        if (image.Sparse is null)
            await ShrinkFixedAsync(file, image, length).ConfigureAwait(false);
        else
            await ShrinkSparseAsync(file, image, length).ConfigureAwait(false);
    }

    /// <summary>Opens the image as a writer does: with a footer in its place and a copy that agrees.</summary>
    public static async ValueTask<VhdImage> OpenAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var image = await VhdImage.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        return await VhdRepair.RunAsync(file, image, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The new footer goes into the part that is cut; the old one rules until the file ends behind the new one.</summary>
    private static async ValueTask ShrinkFixedAsync(IStorageFile file, VhdImage image, long length)
    {
        if (length == image.DiskSize)
            return;
        await file.WriteAsync(length, image.Footer.WithSize(length).ToBytes(), CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        await file.SetLengthAsync(length + VhdFormat.FooterLength, CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static async ValueTask ShrinkSparseAsync(IStorageFile file, VhdImage image, long length)
    {
        if (length < image.DiskSize)
        {
            var footer = image.Footer.WithSize(length).ToBytes();
            foreach (var place in new[] { image.Footers.End, 0 })
            {
                await file.WriteAsync(place, footer, CancellationToken.None).ConfigureAwait(false);
                await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }

        image = await OpenAsync(file, CancellationToken.None).ConfigureAwait(false);
        await VhdLeftovers.ClearEntriesAsync(file, image, image.Sparse!.Header.MaxEntries, CancellationToken.None).ConfigureAwait(false);
        if (image.Sparse.Header.MaxEntries > image.Sparse.Blocks.Count)
        {
            // The header's numbers are in one sector: old or new.
            var header = image.Sparse.Header.WithTable(image.Sparse.Table.Offset, image.Sparse.Blocks.Count);
            await file.WriteAsync(
                (long)image.Footer.DataOffset, header.ToBytes().AsMemory(0, VhdFormat.Sector), CancellationToken.None).ConfigureAwait(false);
            await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            image = await OpenAsync(file, CancellationToken.None).ConfigureAwait(false);
        }

        await VhdLeftovers.FreeAsync(file, image, CancellationToken.None).ConfigureAwait(false);
    }
}
