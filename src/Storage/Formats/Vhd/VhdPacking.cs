using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Moves blocks from the end of the file into its gaps. The footer and the cut are the caller's.</summary>
internal sealed class VhdPacking(
    IStorageFile file, VhdBlocks blocks, VhdBlockTable table, VhdBitmaps bitmaps, VhdSession session, long fileEnd)
{
    /// <summary>Blocks that got another place.</summary>
    public long Moved { get; private set; }

    /// <summary>Moves the last blocks as long as there are gaps for them in front.</summary>
    /// <param name="gaps">What nobody owns, in order.</param>
    /// <param name="batchBytes">Bytes of blocks to copy between two barriers.</param>
    /// <param name="progress">Told how many bytes of the file are gone, and how many will be at most.</param>
    /// <param name="cancellationToken">Stops between blocks.</param>
    public async ValueTask RunAsync(List<FileRange> gaps, long batchBytes, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var moves = new BlockMoves(file, batchBytes, () => session.BarrierAsync(0), PublishAsync);
        var free = gaps.Sum(static gap => gap.Length);
        using var places = PlacesIn(gaps).GetEnumerator();
        foreach (var item in LastFirst())
        {
            var from = (long)(item >> 32) * VhdFormat.Sector;
            if (!places.MoveNext() || places.Current + blocks.PlaceLength > from)
                break;
            session.ThrowIfOver();
            await moves.AddAsync(new BlockMoves.Move((uint)item, from, places.Current, blocks.PlaceLength), cancellationToken).ConfigureAwait(false);
            session.Changed();
            Moved++;
            progress(Math.Min(free, fileEnd - from), free);
        }

        await moves.CompleteAsync().ConfigureAwait(false);
    }

    /// <summary>Where in the gaps blocks fit. On pages of the host like new blocks, unless that costs the place of one block: other
    /// programs put blocks one right behind the other.</summary>
    private IEnumerable<long> PlacesIn(List<FileRange> gaps)
    {
        foreach (var gap in gaps)
        {
            var start = VhdFormat.AlignUp(gap.Start, VhdFormat.Sector);
            var aligned = blocks.AlignPlace(start);
            var step = blocks.Step;
            if ((gap.End - start) / blocks.PlaceLength > (gap.End - aligned + step - blocks.PlaceLength) / step)
                (aligned, step) = (start, blocks.PlaceLength);
            for (var place = aligned; place + blocks.PlaceLength <= gap.End; place += step)
                yield return place;
        }
    }

    /// <summary>The blocks with a place, the last one of the file first: the sector of the place in the upper half.</summary>
    private ulong[] LastFirst()
    {
        var items = new List<ulong>();
        for (var block = table.NextPresent(0, table.Count); block < table.Count; block = table.NextPresent(block + 1, table.Count))
            items.Add(((ulong)(table[block] / VhdFormat.Sector) << 32) | (uint)block);
        items.Sort();
        items.Reverse();
        return [.. items];
    }

    private async ValueTask PublishAsync(IReadOnlyList<BlockMoves.Move> batch)
    {
        foreach (var move in batch)
        {
            try
            {
                await table.MoveAsync(move.Owner, move.To).ConfigureAwait(false);
            }
            catch (StorageException failure)
            {
                // The file may name the new place where memory names the old one.
                session.Fail(failure);
                throw;
            }

            bitmaps.Forget(move.Owner);
        }

        session.Changed();
    }
}
