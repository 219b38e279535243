using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Brings an image that was read well into the form a writer needs: a footer at the end and a copy that agrees.</summary>
internal static class VhdRepair
{
    /// <summary>Repairs what a crash, or a writer with other habits, left.</summary>
    /// <exception cref="StorageException">The file failed; it can be opened as before.</exception>
    public static async ValueTask<VhdImage> RunAsync(IStorageFile file, VhdImage image, CancellationToken cancellationToken)
    {
        if (image.Sparse is not VhdSparseImage sparse)
        {
            // A footer of 511 bytes is read by everybody; only one that a growth has left in the middle is brought back.
            if (file.Length > image.Footers.End + VhdFormat.FooterLength)
                await file.SetLengthAsync(image.Footers.End + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
            return image;
        }

        if (image.Footers.IsInPlace && image.Footers.HasCopy)
            return image;
        var end = image.Footers.End;
        if (!image.Footers.IsInPlace)
        {
            // A killed process may have taken a block's place away without a flush: what the table says must be stable before the
            // place is cut off. Afterwards any mixture of old and new is found and repaired again.
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
            end = VhdFormat.AlignUp(LastUsed(sparse.Table, sparse.Blocks, sparse.Layout.MetadataEnd), VhdFormat.Sector);
            await file.WriteAsync(end, image.Footer.ToBytes(), cancellationToken).ConfigureAwait(false);
            await file.SetLengthAsync(end + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
            sparse.Layout.Gaps.Clear();
        }

        if (!image.Footers.HasCopy)
        {
            // Stable before the footer moves again: if that is cut off, the copy is all there is.
            await file.WriteAsync(0, image.Footer.ToBytes(), cancellationToken).ConfigureAwait(false);
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        return image with { Footers = new VhdFooters(image.Footer, end, IsInPlace: true, HasCopy: true) };
    }

    /// <summary>Behind everything that somebody owns.</summary>
    public static long LastUsed(VhdBlockTable table, VhdBlocks blocks, long metadataEnd)
    {
        var end = metadataEnd;
        for (var block = table.NextPresent(0, table.Count); block < table.Count; block = table.NextPresent(block + 1, table.Count))
            end = Math.Max(end, table[block] + blocks.PlaceLength);
        return end;
    }
}
