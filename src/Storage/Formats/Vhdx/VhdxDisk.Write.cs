using Godwit.Storage.Locking;

namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        // The common case without a state machine: one block that has a place, nobody in the way, the page cache takes it.
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        if (flags != WriteFlags.None || inBlock + buffer.Length > BlockSize || !_table[block].IsPresent || !_session.IsReady)
        {
            return WriteSlowlyAsync(offset, buffer, flags, cancellationToken);
        }

        var acquiring = _locks.AcquireAsync(offset, buffer.Length, cancellationToken);
        return acquiring.IsCompletedSuccessfully
            ? OverwriteAsync(acquiring.Result, block, inBlock, buffer, cancellationToken)
            : OverwriteLaterAsync(acquiring, block, inBlock, buffer, cancellationToken);
    }

    /// <summary>Writes within one block that had a place a moment ago, and gives the range back.</summary>
    private ValueTask OverwriteAsync(
        RangeLock.Holder holder, long block, long inBlock, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var handedOver = false;
        try
        {
            var entry = _table[block];
            if (!entry.IsPresent)
            {
                handedOver = true;
                holder.Dispose();
                return WriteSlowlyAsync(Geometry.StartOf(block) + inBlock, buffer, WriteFlags.None, cancellationToken);
            }

            var write = _file.WriteAsync(entry.Offset + inBlock, buffer, cancellationToken);
            if (!write.IsCompletedSuccessfully)
            {
                handedOver = true;
                return FinishOverwriteAsync(write, holder);
            }

            write.GetAwaiter().GetResult();
            _session.Changed();
            return ValueTask.CompletedTask;
        }
        finally
        {
            if (!handedOver)
                holder.Dispose();
        }
    }

    private async ValueTask OverwriteLaterAsync(
        ValueTask<RangeLock.Holder> acquiring, long block, long inBlock, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var holder = await acquiring.ConfigureAwait(false);
        await OverwriteAsync(holder, block, inBlock, buffer, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask FinishOverwriteAsync(ValueTask write, RangeLock.Holder holder)
    {
        using (holder)
        {
            await write.ConfigureAwait(false);
            _session.Changed();
        }
    }

    private async ValueTask WriteSlowlyAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        bool written;
        using (await _locks.AcquireAsync(offset, buffer.Length, cancellationToken).ConfigureAwait(false))
            written = await TryOverwriteAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        if (!written)
            await AllocateAndWriteAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await _session.FlushAsync().ConfigureAwait(false);
    }

    /// <summary>Writes when every block concerned has a place; else writes nothing.</summary>
    private async ValueTask<bool> TryOverwriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var last = Geometry.BlockAt(offset + buffer.Length - 1);
        for (var block = Geometry.BlockAt(offset); block <= last; block++)
        {
            if (!_table[block].IsPresent)
                return false;
        }

        while (!buffer.IsEmpty)
        {
            var block = Geometry.BlockAt(offset);
            var inBlock = offset - Geometry.StartOf(block);
            var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
            await _file.WriteAsync(_table[block].Offset + inBlock, buffer[..length], cancellationToken).ConfigureAwait(false);
            offset += length;
            buffer = buffer[length..];
        }

        _session.Changed();
        return true;
    }

    /// <summary>Writes to blocks of which some have no place. Holds the whole blocks: whoever else writes there waits until
    /// the log has the new places, so nobody's acknowledgement can depend on a log entry that does not exist.</summary>
    private async ValueTask AllocateAndWriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        var start = geometry.StartOf(geometry.BlockAt(offset));
        var end = geometry.StartOf(geometry.BlockAt(offset + buffer.Length - 1) + 1);
        using var holder = await _locks.AcquireAsync(start, end - start, cancellationToken).ConfigureAwait(false);
        var changes = new List<BatChange>();
        try
        {
            while (!buffer.IsEmpty)
            {
                var block = geometry.BlockAt(offset);
                var inBlock = offset - geometry.StartOf(block);
                var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
                var place = await PlaceAsync(block, changes, cancellationToken).ConfigureAwait(false);
                await _file.WriteAsync(place + inBlock, buffer[..length], cancellationToken).ConfigureAwait(false);
                offset += length;
                buffer = buffer[length..];
            }

            // The bytes first, then the entry: who finds the entry after a crash of the process finds the bytes.
            if (changes.Count > 0)
                await _session.CommitAsync(changes).ConfigureAwait(false);
            _session.Changed();
        }
        finally
        {
            TakeBackUnused(changes);
        }
    }

    /// <summary>Where a block is, or a new place for it, which is added to the changes to be logged.</summary>
    private async ValueTask<long> PlaceAsync(long block, List<BatChange> changes, CancellationToken cancellationToken)
    {
        var entry = _table[block];
        if (entry.IsPresent)
            return entry.Offset;
        var place = await _space.AllocateAsync(cancellationToken).ConfigureAwait(false);
        changes.Add(new BatChange(block, new BatEntry(BlockState.FullyPresent, place)));
        return place;
    }

    /// <summary>Gives back the places that did not become a block's, because something failed.</summary>
    private void TakeBackUnused(List<BatChange> changes)
    {
        foreach (var change in changes)
        {
            if (_table[change.Block] != change.Entry)
                _space.GiveBack(change.Entry.Offset);
        }
    }
}
