using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Makes a fixed disk larger: its new blocks have their place, reserved, before it has the new size. Offline.</summary>
/// <remarks>Cut off between the size and the entries, the disk has the new size and lacks some entries, which reads as zeroes; the
/// next run gives every block without a place one.</remarks>
internal static class VhdxFixedGrowth
{
    private const int ChangesPerCommit = 4096;
    private const long Step = 256L << 20;

    /// <summary>Grows, or finishes what an interrupted run has begun when the disk has that size already.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's.</param>
    /// <param name="length">The new size in bytes, at least the present one.</param>
    /// <param name="progress">Told how many bytes are reserved, and of how many.</param>
    /// <param name="cancellationToken">Gives up; nothing has changed then.</param>
    /// <exception cref="StorageException">As for opening; NoSpace: nothing has changed; or the file failed.</exception>
    public static async ValueTask RunAsync(IStorageFile file, long length, Action<long, long> progress, CancellationToken cancellationToken)
    {
        await VhdxTableRoom.EnsureAsync(file, length, cancellationToken).ConfigureAwait(false);

        // What an interrupted run reserved has no owner: it goes, and is reserved anew.
        await VhdxLeftovers.FreeAsync(file, cancellationToken).ConfigureAwait(false);
        using var offline = await VhdxOfflineSession.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        var grown = offline.Image.Table.Geometry.Resized(length);
        var missing = await CountMissingAsync(offline.Image.Table, cancellationToken).ConfigureAwait(false)
            + grown.BlockCount - offline.Image.Table.Geometry.BlockCount;
        var place = await ReserveAsync(file, missing * grown.BlockSize, progress, cancellationToken).ConfigureAwait(false);
        if (length > offline.Image.Metadata.DiskSize)
        {
            await VhdxLeftovers.ClearLastBlockAsync(offline, CancellationToken.None).ConfigureAwait(false);
            await offline.SetDiskSizeAsync(length, CancellationToken.None).ConfigureAwait(false);
            offline.Image.Table.Grow(grown);
        }

        await PlaceAsync(offline, place).ConfigureAwait(false);
        await offline.Session.EndAsync().ConfigureAwait(false);
    }

    private static async ValueTask<long> CountMissingAsync(BlockAllocationTable table, CancellationToken cancellationToken)
    {
        long missing = 0;
        for (long block = 0; block < table.Geometry.BlockCount; block++)
            missing += (await table.GetAsync(block, cancellationToken).ConfigureAwait(false)).IsPresent ? 0 : 1;
        return missing;
    }

    private static async ValueTask<long> ReserveAsync(
        IStorageFile file, long length, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var oldLength = file.Length;
        var place = VhdxFormat.AlignUp(oldLength, VhdxFormat.MiB);
        if (length == 0)
            return place;
        try
        {
            await file.SetLengthAsync(place + length, cancellationToken).ConfigureAwait(false);
            for (long done = 0; done < length; done += Step)
            {
                progress(done, length);
                cancellationToken.ThrowIfCancellationRequested();
                await file.AllocateZeroesAsync(place + done, Math.Min(Step, length - done), cancellationToken).ConfigureAwait(false);
            }

            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is StorageException or OperationCanceledException)
        {
            await file.SetLengthAsync(oldLength, CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        progress(length, length);
        return place;
    }

    private static async ValueTask PlaceAsync(VhdxOfflineSession offline, long place)
    {
        var table = offline.Image.Table;
        var changes = new List<BatChange>();
        for (long block = 0; block < table.Geometry.BlockCount; block++)
        {
            if (!(await table.GetAsync(block, CancellationToken.None).ConfigureAwait(false)).IsPresent)
            {
                changes.Add(new BatChange(table.Geometry.EntryOf(block), new BatEntry(BlockState.FullyPresent, place)));
                place += table.Geometry.BlockSize;
            }

            if (changes.Count == ChangesPerCommit || (changes.Count > 0 && block == table.Geometry.BlockCount - 1))
            {
                await offline.Session.PrepareAsync(CancellationToken.None).ConfigureAwait(false);
                await offline.Session.CommitAsync(changes).ConfigureAwait(false);
                changes.Clear();
            }
        }
    }
}
