using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Removes what belongs to nobody any more from a dynamic or differencing disk's file: entries of the block table behind the
/// end of the disk, bytes of the last block behind it, and space without an owner.</summary>
/// <remarks>Offline. No reader of the disk sees any of it, so a cut at any moment does no harm and the next run goes on.</remarks>
internal static class VhdLeftovers
{
    private const int Part = 64 << 10;

    /// <summary>Clears the entries of the table that no block of the disk has. Stable when this returns.</summary>
    /// <remarks>The first of them may share a sector with entries in use, which are written as they are.</remarks>
    /// <param name="file">The image; it stays the caller's.</param>
    /// <param name="image">The image as it is now.</param>
    /// <param name="count">How many entries there are to be, as far as there is room: behind them old footers and the like may stand.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask ClearEntriesAsync(IStorageFile file, VhdImage image, long count, CancellationToken cancellationToken)
    {
        var table = image.Sparse!.Table;
        var from = table.EntryOffset(table.Count);
        var to = Math.Min(table.EntryOffset(Math.Min(count, VhdFormat.MaxTableLength / sizeof(uint))), RoomEnd(image));
        var free = new byte[Part];
        free.AsSpan().Fill(0xff);
        var found = new byte[Part];
        var changed = false;
        for (; from < to; from += Part)
        {
            var length = (int)Math.Min(Part, to - from);
            await file.ReadAsync(from, found.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            if (!found.AsSpan(0, length).ContainsAnyExcept((byte)0xff))
                continue;
            await file.WriteAsync(from, free.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            changed = true;
        }

        if (changed)
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How far the table's entries may reach: behind those in use up to whatever comes next. A header may promise more
    /// entries than there is room for.</summary>
    public static long RoomEnd(VhdImage image)
    {
        var (table, header) = (image.Sparse!.Table, image.Sparse.Header);
        var end = image.Footers.End;
        Limit((long)image.Footer.DataOffset);
        for (var index = 0; index < VhdFormat.LocatorCount; index++)
        {
            if (header.Locator(index) is { IsUsed: true, Offset: < long.MaxValue / 2 } locator)
                Limit((long)locator.Offset);
        }

        for (var block = table.NextPresent(0, table.Count); block < table.Count; block = table.NextPresent(block + 1, table.Count))
            Limit(table[block]);
        return end;

        void Limit(long owner)
        {
            if (owner >= table.Offset)
                end = Math.Min(end, owner);
        }
    }

    /// <summary>Gives back the last block's bytes behind the end and every gap, and brings the footer behind the last owner.</summary>
    /// <param name="file">The image, with its footer in place; it stays the caller's.</param>
    /// <param name="image">The image as it is now.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask FreeAsync(IStorageFile file, VhdImage image, CancellationToken cancellationToken)
    {
        var sparse = image.Sparse!;
        var last = sparse.Blocks.Count - 1;
        var place = sparse.Table[last];
        var used = sparse.Blocks.UsedLength(last);
        if (place >= 0 && used < sparse.Blocks.Size)
        {
            var from = sparse.Blocks.DataAt(place, used);
            var to = Math.Min(place + sparse.Blocks.PlaceLength, image.Footers.End);
            if (to > from)
                await file.PunchHoleAsync(from, to - from, cancellationToken).ConfigureAwait(false);
        }

        var end = VhdFormat.AlignUp(VhdRepair.LastUsed(sparse.Table, sparse.Blocks, sparse.Layout.MetadataEnd), VhdFormat.Sector);
        foreach (var gap in sparse.Layout.Gaps.Where(gap => gap.End <= end))
            await file.PunchHoleAsync(gap.Start, gap.Length, cancellationToken).ConfigureAwait(false);
        if (end < image.Footers.End)
        {
            // First the footer, then the length: at every moment the last sector is a footer.
            await file.WriteAsync(end, image.Footer.ToBytes(), cancellationToken).ConfigureAwait(false);
            await file.FlushAsync(cancellationToken).ConfigureAwait(false);
            await file.SetLengthAsync(end + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
        }

        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
