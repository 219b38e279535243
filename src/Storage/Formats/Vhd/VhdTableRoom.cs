using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Makes room for the entries of a larger disk in the block table, by moving the table where it must. Offline.</summary>
/// <remarks>Offset and number of entries stand in the header's first sector, so one write names the new table, which is complete and
/// stable by then; until then the old one rules and is left alone.</remarks>
internal static class VhdTableRoom
{
    /// <summary>Makes sure that the table has room for a disk of that size, with nothing in it behind the present end.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's.</param>
    /// <param name="length">Bytes the disk is to have.</param>
    /// <param name="cancellationToken">Gives up before the new place is named.</param>
    /// <exception cref="StorageException">As for opening; InvalidRequest for the size; NoSpace: nothing has changed; or the file failed.</exception>
    public static async ValueTask EnsureAsync(IStorageFile file, long length, CancellationToken cancellationToken)
    {
        var image = await VhdShrink.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        if (length > VhdFormat.MaxDiskSize || length % VhdFormat.Sector != 0)
            throw Refuse(StorageErrorKind.InvalidRequest, $"the size {length} is not whole {VhdFormat.Sector}-byte sectors up to the format's 2040 GiB");
        if (image.Sparse is not VhdSparseImage sparse)
            return;
        var grown = new VhdBlocks(length, sparse.Blocks.Size);
        if (grown.Count * sizeof(uint) > VhdFormat.MaxTableLength)
        {
            throw Refuse(StorageErrorKind.Unsupported,
                $"{length} bytes need {grown.Count} blocks of {grown.Size} bytes, more than this version reads; convert the disk to VHDX");
        }

        await VhdLeftovers.ClearEntriesAsync(
            file, image, Math.Max(grown.Count, sparse.Header.MaxEntries), cancellationToken).ConfigureAwait(false);
        if (VhdFormat.AlignUp(sparse.Table.EntryOffset(grown.Count), VhdFormat.Sector) <= VhdLeftovers.RoomEnd(image))
            return;
        await MoveAsync(file, image, sparse, grown.Count, cancellationToken).ConfigureAwait(false);

        StorageException Refuse(StorageErrorKind kind, string reason) => new(kind, reason, file.Path, operation: "resize");
    }

    private static async ValueTask MoveAsync(
        IStorageFile file, VhdImage image, VhdSparseImage sparse, long count, CancellationToken cancellationToken)
    {
        var place = image.Footers.End + VhdFormat.FooterLength;
        var end = VhdFormat.AlignUp(place + (count * sizeof(uint)), VhdFormat.Sector);
        if (end > VhdFormat.MaxFileLength - VhdFormat.FooterLength)
        {
            throw new StorageException(StorageErrorKind.NoSpace,
                "the file has reached the 2 TiB its block table can address; convert the disk to VHDX", file.Path, place, "resize");
        }

        // The footer moves behind the new table, as it does when blocks are added.
        try
        {
            await file.SetLengthAsync(end + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
            await file.WriteAsync(place, TableOf(sparse, end - place), cancellationToken).ConfigureAwait(false);
            await file.WriteAsync(end, image.Footer.ToBytes(), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is StorageException or OperationCanceledException)
        {
            await file.SetLengthAsync(place, CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        var header = sparse.Header.WithTable(place, count).ToBytes();
        await file.WriteAsync((long)image.Footer.DataOffset, header.AsMemory(0, VhdFormat.Sector), CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static byte[] TableOf(VhdSparseImage sparse, long length)
    {
        var bytes = new byte[length];
        bytes.AsSpan().Fill(0xff);
        for (long block = 0; block < sparse.Table.Count; block++)
        {
            if (sparse.Table[block] is >= 0 and var place)
            {
                System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(
                    bytes.AsSpan((int)block * sizeof(uint)), (uint)(place / VhdFormat.Sector));
            }
        }

        return bytes;
    }
}
