namespace Godwit.Storage.Formats.Vhd;

public sealed partial class VhdDisk
{
    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        _table is null ? _file.AllocateZeroesAsync(offset, length, cancellationToken) : ZeroAsync(offset, length, WriteFlags.None, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (_table is null)
            await _file.AllocateZeroesAsync(offset, length, cancellationToken).ConfigureAwait(false);
        else
            await ZeroAsync(offset, length, flags, cancellationToken).ConfigureAwait(false);
        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await FlushCoreAsync(cancellationToken).ConfigureAwait(false);
    }

    private ValueTask ZeroAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        _session.ThrowIfOver();
        return (flags & WriteFlags.KeepAllocated) != 0 || _parent is not null
            ? ZeroByBlockAsync(offset, length, flags, cancellationToken)
            : GiveBackAsync(offset, length, cancellationToken);
    }

    /// <summary>Zeroes what has a place; without a parent the rest reads as zeroes anyway.</summary>
    private async ValueTask GiveBackAsync(long offset, long length, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
        var blocks = _blocks!;
        var end = offset + length;
        var lastBlock = blocks.BlockAt(end - 1) + 1;
        long run = -1;
        for (var block = _table!.NextPresent(blocks.BlockAt(offset), lastBlock); block < lastBlock; block = _table.NextPresent(block + 1, lastBlock))
        {
            var start = blocks.StartOf(block);
            var from = Math.Max(offset, start) - start;
            var to = Math.Min(end - start, blocks.UsedLength(block));
            if (from == 0 && to == blocks.UsedLength(block))
            {
                // Neighbours go together: one write of the table.
                run = run < 0 ? block : run;
                if (block + 1 < lastBlock && _table[block + 1] >= 0 && end >= start + blocks.Size + blocks.UsedLength(block + 1))
                    continue;
                await UnmapAsync(run, block + 1 - run).ConfigureAwait(false);
                run = -1;
                continue;
            }

            await _file.PunchHoleAsync(blocks.DataAt(_table[block], from), to - from, cancellationToken).ConfigureAwait(false);
            _session.Changed();
        }
    }

    /// <summary>Takes the places of neighbouring blocks away; the places are used again only when that is stable.</summary>
    private async ValueTask UnmapAsync(long first, long count)
    {
        var places = new long[count];
        for (var index = 0; index < count; index++)
            places[index] = _table![first + index];
        try
        {
            await _table!.ClearAsync(first, count).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            // The file may say "no place" where memory does not: what would be written there now could be lost.
            _session.Fail(failure);
            throw;
        }

        for (var index = 0; index < count; index++)
        {
            _bitmaps!.Forget(first + index);
            _places!.Free(places[index]);
        }

        _session.Changed();
    }

    /// <summary>Zeroes block by block where zeroes need a place: they hide a parent, or their space is to be reserved.</summary>
    private async ValueTask ZeroByBlockAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        var keep = (flags & WriteFlags.KeepAllocated) != 0;
        var needed = keep || (flags & WriteFlags.HideParent) != 0;
        var blocks = _blocks!;
        while (length > 0)
        {
            var block = blocks.BlockAt(offset);
            var inBlock = offset - blocks.StartOf(block);
            var part = Math.Min(length, blocks.Size - inBlock);
            using (await _locks.AcquireAsync(blocks.StartOf(block), blocks.Size, cancellationToken).ConfigureAwait(false))
            {
                if (needed || !await IsZeroBeneathAsync(block, inBlock, part, cancellationToken).ConfigureAwait(false))
                    await ZeroInBlockAsync(block, inBlock, part, keep, cancellationToken).ConfigureAwait(false);
            }

            offset += part;
            length -= part;
        }
    }

    /// <summary>None of the sectors is the block's own, and what shows through is zero already.</summary>
    private async ValueTask<bool> IsZeroBeneathAsync(long block, long inBlock, long length, CancellationToken cancellationToken)
    {
        var end = inBlock + length;
        var place = _table![block];
        if (place >= 0)
        {
            var bits = await _bitmaps!.GetAsync(block, place, cancellationToken).ConfigureAwait(false);
            if (VhdBitmaps.RunOf(bits, inBlock, end) is not (false, var clear) || clear < end)
                return false;
        }

        var start = _blocks!.StartOf(block);
        for (var at = inBlock; at < end;)
        {
            var run = await _parent!.GetExtentAsync(start + at, end - at, cancellationToken).ConfigureAwait(false);
            if (!run.ReadsAsZeroes)
                return false;
            at += run.Length;
        }

        return true;
    }

    private async ValueTask ZeroInBlockAsync(long block, long inBlock, long length, bool keep, CancellationToken cancellationToken)
    {
        var pending = new List<VhdPending>(1);
        try
        {
            var place = await PlaceAsync(block, inBlock, length, pending, cancellationToken).ConfigureAwait(false);
            var data = _blocks!.DataAt(place, inBlock);
            if (keep)
                await _file.AllocateZeroesAsync(data, length, cancellationToken).ConfigureAwait(false);
            else if (pending is not [{ IsNew: true }])
                await _file.PunchHoleAsync(data, length, cancellationToken).ConfigureAwait(false);
            _session.Changed();

            // A new place is zero after any power cut: nothing to wait for.
            await PublishAsync(pending, bytesAreNew: false).ConfigureAwait(false);
        }
        finally
        {
            TakeBackUnused(pending);
        }
    }
}
