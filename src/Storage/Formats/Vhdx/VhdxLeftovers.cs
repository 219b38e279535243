using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Removes what belongs to nobody any more from a file: entries of the table behind the end of the disk, bytes of the last
/// block behind it, and space without an owner.</summary>
/// <remarks>Offline. No reader of the disk sees any of it, so a cut at any moment does no harm and the next run goes on.</remarks>
internal static class VhdxLeftovers
{
    private const int ChangesPerCommit = 4096;

    /// <summary>Clears entries and bytes behind the end of the disk. Writes nothing when there are none.</summary>
    /// <param name="file">The image, open for writing; it stays the caller's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask ClearAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        using var offline = await VhdxOfflineSession.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        var image = offline.Image;
        await ClearLastBlockAsync(offline, cancellationToken).ConfigureAwait(false);
        await ClearEntriesAsync(offline, cancellationToken).ConfigureAwait(false);
        await offline.Session.EndAsync().ConfigureAwait(false);

        // Whole pages behind the last one in use: nobody logs or reads them.
        var from = image.Regions.Bat.Offset + VhdxFormat.AlignUp(image.Table.Geometry.EntryCount * sizeof(ulong), VhdxFormat.PageSize);
        if (await PunchDataAsync(file, from, image.Regions.Bat.End, cancellationToken).ConfigureAwait(false))
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives back what no structure and no block owns, and cuts the file behind the last owner.</summary>
    /// <param name="file">The image, open for writing and with nothing in its log; it stays the caller's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask FreeAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        using var offline = await VhdxOfflineSession.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        var owned = await ClaimAsync(offline.Image, cancellationToken).ConfigureAwait(false);
        var end = VhdxFormat.HeaderSectionEnd;
        var changed = false;
        while (end < file.Length)
        {
            var gap = owned.NextGap(end, file.Length);
            if (gap.Length == 0)
                break;
            if (gap.End >= VhdxFormat.AlignDown(file.Length, VhdxFormat.MiB))
            {
                await file.SetLengthAsync(gap.Start, cancellationToken).ConfigureAwait(false);
                changed = true;
                break;
            }

            changed |= await PunchDataAsync(file, gap.Start, gap.End, cancellationToken).ConfigureAwait(false);
            end = gap.End;
        }

        if (changed)
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Zeroes the part of the last block that the guest cannot see: a larger disk would show it.</summary>
    public static async ValueTask ClearLastBlockAsync(VhdxOfflineSession offline, CancellationToken cancellationToken)
    {
        var (image, geometry) = (offline.Image, offline.Image.Table.Geometry);
        var last = geometry.BlockCount - 1;
        var entry = await image.Table.GetAsync(last, cancellationToken).ConfigureAwait(false);
        var from = entry.Offset + geometry.UsedLength(last);
        var to = Math.Min(entry.Offset + geometry.BlockSize, image.File.Length);
        if (!entry.IsPresent || from >= to)
            return;
        if (image.Metadata.IsFixed)
            await image.File.AllocateZeroesAsync(from, to - from, cancellationToken).ConfigureAwait(false);
        else
            await PunchDataAsync(image.File, from, to, cancellationToken).ConfigureAwait(false);
        await image.File.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Clears the entries behind the last block in the pages that also hold entries in use. They go through the log.</summary>
    private static async ValueTask ClearEntriesAsync(VhdxOfflineSession offline, CancellationToken cancellationToken)
    {
        var (table, geometry) = (offline.Image.Table, offline.Image.Table.Geometry);
        var changes = new List<BatChange>();
        var end = VhdxFormat.AlignUp(geometry.EntryCount, BatPage.EntryCount);
        for (var index = geometry.EntryOf(geometry.BlockCount - 1) + 1; index < end; index++)
        {
            // The last chunk of a differencing disk keeps its bitmap.
            if (geometry.HasParent && index < geometry.EntryCount && geometry.IsBitmapEntry(index))
                continue;
            if ((await table.GetEntryAsync(index, cancellationToken).ConfigureAwait(false)).Raw != 0)
                changes.Add(new BatChange(index, default));
            if (changes.Count == ChangesPerCommit || (changes.Count > 0 && index == end - 1))
            {
                await offline.Session.PrepareAsync(cancellationToken).ConfigureAwait(false);
                await offline.Session.CommitAsync(changes).ConfigureAwait(false);
                changes.Clear();
            }
        }
    }

    private static async ValueTask<FileClaims> ClaimAsync(VhdxImage image, CancellationToken cancellationToken)
    {
        var (claims, geometry, header) = (new FileClaims(), image.Table.Geometry, image.Headers.Current);
        claims.Claim(0, VhdxFormat.HeaderSectionEnd);
        claims.Claim(header.LogOffset, header.LogLength);
        foreach (var region in image.Regions.Regions)
            claims.Claim(region.Offset, region.Length);
        await image.Table.ForEachUsedAsync(
            (index, entry) =>
            {
                var length = BatEntryRules.OwnedLength(geometry, index, entry);

                // Another program may take the offset of an absent block as still reserved for it.
                if (length == 0 && entry.RawOffset != 0 && entry.RawOffset < (ulong)image.File.Length)
                    length = geometry.IsBitmapEntry(index) ? VhdxFormat.MiB : geometry.BlockSize;
                if (length > 0)
                    claims.Claim(entry.Offset, length);
            },
            cancellationToken).ConfigureAwait(false);
        return claims;
    }

    private static async ValueTask<bool> PunchDataAsync(IStorageFile file, long from, long to, CancellationToken cancellationToken)
    {
        var any = false;
        while (from < to)
        {
            var run = await file.GetExtentAsync(from, to - from, cancellationToken).ConfigureAwait(false);
            if (run.Kind != ExtentKind.Hole)
            {
                await file.PunchHoleAsync(from, run.Length, cancellationToken).ConfigureAwait(false);
                any = true;
            }

            from = run.End;
        }

        return any;
    }
}
