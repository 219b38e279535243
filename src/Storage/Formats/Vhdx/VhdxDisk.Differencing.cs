namespace Godwit.Storage.Formats.Vhdx;

/// <content>What only a disk with a parent does.</content>
public sealed partial class VhdxDisk
{
    private readonly SemaphoreSlim _addingBitmap = new(1, 1);

    /// <summary>Sectors of a block that become the file's own; the others of a block that had no place are the parent's, whatever
    /// the bitmap said about them so far.</summary>
    private BitmapChange BitsOf(long block, long offset, long length, bool keepOthers)
    {
        var from = Geometry.SectorAt(offset);
        var to = Geometry.SectorAt(offset + length);
        return keepOthers
            ? BitmapChange.Set(from, to)
            : new BitmapChange(from, to, Geometry.SectorAt(Geometry.StartOf(block)), Geometry.SectorAt(Geometry.StartOf(block + 1)));
    }

    /// <summary>Makes sure a chunk has a sector bitmap. A new one shows nothing to anybody: its bits count only for blocks that
    /// are partially present.</summary>
    private async ValueTask EnsureBitmapAsync(long chunk, CancellationToken cancellationToken)
    {
        var index = Geometry.BitmapEntryOf(chunk);
        if ((await _table.GetEntryAsync(index, cancellationToken).ConfigureAwait(false)).IsPresent)
            return;
        await _addingBitmap.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if ((await _table.GetEntryAsync(index, cancellationToken).ConfigureAwait(false)).IsPresent)
                return;
            var place = await _space.AppendAsync(VhdxFormat.MiB, cancellationToken).ConfigureAwait(false);
            var entry = new BatEntry(BlockState.FullyPresent, place);
            try
            {
                await _session.CommitAsync([new BatChange(index, entry)]).ConfigureAwait(false);
            }
            catch (StorageException)
            {
                _space.GiveBack(place, VhdxFormat.MiB);
                throw;
            }
        }
        finally
        {
            _addingBitmap.Release();
        }
    }

    /// <summary>Zeroes a range over a parent: whole blocks by their state, parts by bytes of this file.</summary>
    private async ValueTask ZeroOverParentAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        var end = offset + length;
        var start = geometry.StartOf(geometry.BlockAt(offset));
        using var holder = await _locks.AcquireAsync(
            start, geometry.StartOf(geometry.BlockAt(end - 1) + 1) - start, cancellationToken).ConfigureAwait(false);
        var changes = new List<BatChange>();
        var zeroUntil = offset;
        for (var at = offset; at < end;)
        {
            var block = geometry.BlockAt(at);
            var next = Math.Min(end, geometry.StartOf(block + 1));
            var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
            if (SourceOf(entry) == Source.Parent && mode != ZeroMode.HideParent && at >= zeroUntil)
                zeroUntil = await EndOfParentsZeroesAsync(at, end, cancellationToken).ConfigureAwait(false);
            if (SourceOf(entry) == Source.File || (SourceOf(entry) == Source.Parent && zeroUntil < next))
            {
                await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
                if (next - at == geometry.UsedLength(block))
                    changes.Add(new BatChange(geometry.EntryOf(block), new BatEntry(BlockState.Zero, 0)));
                else
                    await ZeroPartAsync(at, next - at, mode, cancellationToken).ConfigureAwait(false);
            }

            at = next;
            if (changes.Count == ChangesPerCommit)
                await UnmapAsync(changes).ConfigureAwait(false);
        }

        if (changes.Count > 0)
            await UnmapAsync(changes).ConfigureAwait(false);
    }

    /// <summary>Zeroes a part of a block and makes it the file's own. The caller holds the whole block.</summary>
    private async ValueTask ZeroPartAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        var changes = new List<BatChange>(1);
        try
        {
            var place = await PlaceAsync(offset, length, changes, cancellationToken).ConfigureAwait(false);
            await ZeroInsideAsync(place, length, mode, cancellationToken).ConfigureAwait(false);
            if (changes.Count > 0)
                await _session.CommitAsync(changes).ConfigureAwait(false);
            _session.Changed();
        }
        finally
        {
            TakeBackUnused(changes);
        }
    }

    private async ValueTask<long> EndOfParentsZeroesAsync(long offset, long end, CancellationToken cancellationToken)
    {
        var extent = await _parent!.GetExtentAsync(offset, end - offset, cancellationToken).ConfigureAwait(false);
        return extent.ReadsAsZeroes ? extent.End : offset;
    }
}
