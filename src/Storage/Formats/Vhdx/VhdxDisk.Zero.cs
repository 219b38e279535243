namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    // Bounds the memory a trim of a whole disk takes, and how long it keeps other allocations from the log.
    private const int ChangesPerCommit = 4096;

    private enum ZeroMode
    {
        Trim,
        GiveBack,
        HideParent,
        KeepAllocated,
    }

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        ZeroAsync(offset, length, IsFixed ? ZeroMode.KeepAllocated : ZeroMode.Trim, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        var keep = (flags & WriteFlags.KeepAllocated) != 0;
        if (keep && !IsFixed)
            await ReserveZeroesAsync(offset, length, cancellationToken).ConfigureAwait(false);
        else
            await ZeroAsync(offset, length, ModeOf(flags), cancellationToken).ConfigureAwait(false);
        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await _session.FlushAsync().ConfigureAwait(false);
    }

    private ZeroMode ModeOf(WriteFlags flags)
    {
        if (IsFixed)
            return ZeroMode.KeepAllocated;
        return (flags & WriteFlags.HideParent) != 0 ? ZeroMode.HideParent : ZeroMode.GiveBack;
    }

    /// <summary>Zeroes what has a place; the rest reads as zeroes anyway.</summary>
    private ValueTask ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken) => _parent is null
        ? ZeroPresentAsync(offset, length, mode, cancellationToken)
        : ZeroOverParentAsync(offset, length, mode, cancellationToken);

    private async ValueTask ZeroPresentAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        var end = offset + length;
        var lastBlock = geometry.BlockAt(end - 1) + 1;
        using var holder = await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
        var changes = new List<BatChange>();
        for (var block = geometry.BlockAt(offset); ; block++)
        {
            block = await _table.NextPresentAsync(block, lastBlock, cancellationToken).ConfigureAwait(false);
            if (block == lastBlock)
                break;
            await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
            var start = geometry.StartOf(block);
            var from = Math.Max(offset, start) - start;
            var to = Math.Min(end - start, geometry.UsedLength(block));
            if (mode != ZeroMode.KeepAllocated && from == 0 && to == geometry.UsedLength(block))
            {
                changes.Add(new BatChange(geometry.EntryOf(block), new BatEntry(mode == ZeroMode.Trim ? BlockState.Unmapped : BlockState.Zero, 0)));
                if (changes.Count == ChangesPerCommit)
                    await UnmapAsync(changes).ConfigureAwait(false);
                continue;
            }

            var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
            await ZeroInsideAsync(entry.Offset + from, to - from, mode, cancellationToken).ConfigureAwait(false);
        }

        if (changes.Count > 0)
            await UnmapAsync(changes).ConfigureAwait(false);
    }

    private async ValueTask ZeroInsideAsync(long place, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        if (mode == ZeroMode.KeepAllocated)
            await _file.AllocateZeroesAsync(place, length, cancellationToken).ConfigureAwait(false);
        else
            await _file.PunchHoleAsync(place, length, cancellationToken).ConfigureAwait(false);
        _session.Changed();
    }

    /// <summary>Logs that blocks have no place any more, and frees the places of those for which that worked.</summary>
    private async ValueTask UnmapAsync(List<BatChange> changes)
    {
        var old = new BatEntry[changes.Count];
        for (var index = 0; index < old.Length; index++)
            old[index] = await _table.GetEntryAsync(changes[index].Index, CancellationToken.None).ConfigureAwait(false);
        var committed = false;
        try
        {
            await _session.CommitAsync(changes).ConfigureAwait(false);
            committed = true;
        }
        finally
        {
            var sequence = _session.NewestSequence;
            for (var index = 0; index < old.Length; index++)
            {
                var hasLost = committed
                    || (_table.TryGet(Geometry.BlockOf(changes[index].Index), out var entry) && entry == changes[index].Entry);
                if (old[index].IsPresent && hasLost)
                    _space.Free(old[index].Offset, sequence);
            }

            changes.Clear();
        }
    }

    /// <summary>Zeroes with the space reserved, in blocks that have no place as well.</summary>
    private async ValueTask ReserveZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        while (length > 0)
        {
            var block = Geometry.BlockAt(offset);
            var start = Geometry.StartOf(block);
            var part = Math.Min(length, BlockSize - (offset - start));
            await ReserveZeroesInBlockAsync(block, offset - start, part, cancellationToken).ConfigureAwait(false);
            offset += part;
            length -= part;
        }
    }

    private async ValueTask ReserveZeroesInBlockAsync(long block, long inBlock, long length, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(Geometry.StartOf(block), BlockSize, cancellationToken).ConfigureAwait(false);
        await ZeroPartAsync(Geometry.StartOf(block) + inBlock, length, ZeroMode.KeepAllocated, cancellationToken).ConfigureAwait(false);
    }
}
