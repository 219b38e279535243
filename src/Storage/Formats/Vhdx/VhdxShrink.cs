using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Makes a disk smaller: fixed, dynamic or differencing. Offline; a parent is not needed.</summary>
/// <remarks>One log entry changes the size; it is stable and in its place before anything else happens. Everything behind the new
/// end belongs to nobody from then on, so that the rest may be cut off anywhere and is done by the next run. The order and the
/// reasons are in docs/design/resize.md.</remarks>
internal static class VhdxShrink
{
    /// <summary>Shrinks, or finishes what an interrupted run has begun when the disk has that size already.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's.</param>
    /// <param name="length">The new size in bytes: whole logical sectors above zero, not above the present size.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">As for opening; InvalidRequest for the size; or the file failed: the disk has the old size
    /// or the new one.</exception>
    public static async ValueTask RunAsync(IStorageFile file, long length, CancellationToken cancellationToken)
    {
        using (var offline = await VhdxOfflineSession.OpenAsync(file, cancellationToken).ConfigureAwait(false))
        {
            var metadata = offline.Image.Metadata;
            if (length <= 0 || length > metadata.DiskSize || length % metadata.LogicalSectorSize != 0)
            {
                throw new StorageException(StorageErrorKind.InvalidRequest,
                    $"the size {length} is not whole {metadata.LogicalSectorSize}-byte sectors up to {metadata.DiskSize}", file.Path, operation: "resize");
            }

            if (length < metadata.DiskSize)
            {
                await offline.SetDiskSizeAsync(length, cancellationToken).ConfigureAwait(false);
                await offline.Session.EndAsync().ConfigureAwait(false);
            }
        }

        await VhdxLeftovers.ClearAsync(file, CancellationToken.None).ConfigureAwait(false);
        await VhdxLeftovers.FreeAsync(file, CancellationToken.None).ConfigureAwait(false);
    }
}
