using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Makes room for the entries of a larger disk in the block allocation table, by moving the table where it must. Offline.</summary>
/// <remarks><see cref="VhdxRegionMove"/>: both places hold the same entries.</remarks>
internal static class VhdxTableRoom
{
    private const int CopyLength = 1 << 20;

    /// <summary>Makes sure that the table has room for a disk of that size, with nothing in it behind the present end.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's.</param>
    /// <param name="length">Bytes the disk is to have.</param>
    /// <param name="cancellationToken">Gives up before the new place is named.</param>
    /// <exception cref="StorageException">As for opening; InvalidRequest for the size; NoSpace: nothing has changed; or the file failed.</exception>
    public static async ValueTask EnsureAsync(IStorageFile file, long length, CancellationToken cancellationToken)
    {
        await VhdxLeftovers.ClearAsync(file, cancellationToken).ConfigureAwait(false);
        using var offline = await VhdxOfflineSession.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        var image = offline.Image;
        if (length > VhdxFormat.MaxDiskSize || length % image.Metadata.LogicalSectorSize != 0)
        {
            throw new StorageException(StorageErrorKind.InvalidRequest,
                $"the size {length} is not whole {image.Metadata.LogicalSectorSize}-byte sectors up to the format's 64 TiB", file.Path, operation: "resize");
        }

        var grown = image.Table.Geometry.Resized(length);
        if (grown.EntryCount <= image.Regions.Bat.Length / sizeof(ulong))
            return;
        await VhdxRegionMove.RunAsync(
            file, image.Headers, image.Regions, image.Regions.Bat, grown.TableLength, place => CopyAsync(image, place, cancellationToken)).ConfigureAwait(false);
    }

    private static async ValueTask CopyAsync(VhdxImage image, long place, CancellationToken cancellationToken)
    {
        var (file, old) = (image.File, image.Regions.Bat);
        var length = VhdxFormat.AlignUp(image.Table.Geometry.EntryCount * sizeof(ulong), VhdxFormat.PageSize);
        var buffer = new byte[CopyLength];
        for (long at = 0; at < length;)
        {
            var run = await file.GetExtentAsync(old.Offset + at, Math.Min(length - at, CopyLength), cancellationToken).ConfigureAwait(false);
            if (!run.ReadsAsZeroes)
            {
                var part = buffer.AsMemory(0, (int)run.Length);
                await file.ReadAsync(old.Offset + at, part, cancellationToken).ConfigureAwait(false);
                await file.WriteAsync(place + at, part, cancellationToken).ConfigureAwait(false);
            }

            at += run.Length;
        }
    }
}
