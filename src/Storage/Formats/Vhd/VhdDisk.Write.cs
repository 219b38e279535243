using Godwit.Storage.Locking;

namespace Godwit.Storage.Formats.Vhd;

public sealed partial class VhdDisk
{
    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (_table is null)
            return WriteFixedAsync(offset, buffer, flags, cancellationToken);

        // The common case without a state machine: sectors that are the block's own, nobody in the way, the page cache takes it.
        var blocks = _blocks!;
        var block = blocks.BlockAt(offset);
        var inBlock = offset - blocks.StartOf(block);
        if (flags != WriteFlags.None || inBlock + buffer.Length > blocks.Size || _table[block] < 0
            || !_bitmaps!.Covers(block, inBlock, buffer.Length) || !_session.IsReady)
        {
            return WriteSlowlyAsync(offset, buffer, flags, cancellationToken);
        }

        var acquiring = _locks.AcquireAsync(offset, buffer.Length, cancellationToken);
        return acquiring.IsCompletedSuccessfully
            ? OverwriteAsync(acquiring.Result, block, inBlock, buffer, cancellationToken)
            : OverwriteLaterAsync(acquiring, block, inBlock, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (_table is null)
            return _file.TryMoveFromPipe(offset, length, pipe);
        var blocks = _blocks!;
        var block = blocks.BlockAt(offset);
        var inBlock = offset - blocks.StartOf(block);
        if (inBlock + length > blocks.Size || !_session.IsReady || !_locks.TryAcquire(offset, length, out var holder))
            return false;
        using (holder)
        {
            var place = _table[block];
            if (place < 0 || !_bitmaps!.Covers(block, inBlock, length) || !_file.TryMoveFromPipe(blocks.DataAt(place, inBlock), length, pipe))
                return false;
            _session.Changed();
            return true;
        }
    }

    private ValueTask WriteFixedAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        var written = _file.WriteAsync(offset, buffer, cancellationToken);
        return (flags & WriteFlags.ForceUnitAccess) == 0 ? written : ThenFlushAsync(written, cancellationToken);
    }

    private async ValueTask ThenFlushAsync(ValueTask change, CancellationToken cancellationToken)
    {
        await change.ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes within one block whose sectors were its own a moment ago, and gives the range back.</summary>
    private ValueTask OverwriteAsync(
        RangeLock.Holder holder, long block, long inBlock, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var handedOver = false;
        try
        {
            var blocks = _blocks!;
            var place = _table![block];
            if (place < 0 || !_bitmaps!.Covers(block, inBlock, buffer.Length))
            {
                handedOver = true;
                holder.Dispose();
                return WriteSlowlyAsync(blocks.StartOf(block) + inBlock, buffer, WriteFlags.None, cancellationToken);
            }

            var write = _file.WriteAsync(blocks.DataAt(place, inBlock), buffer, cancellationToken);
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
        _session.ThrowIfOver();
        bool written;
        using (await _locks.AcquireAsync(offset, buffer.Length, cancellationToken).ConfigureAwait(false))
        {
            written = HasPlaces(offset, buffer.Length);
            if (written)
                await WriteBlocksAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        }

        if (!written)
        {
            // Some block has no place: hold the whole blocks, so that each gets one place and nobody relies on it too early.
            var blocks = _blocks!;
            var start = blocks.StartOf(blocks.BlockAt(offset));
            var end = blocks.StartOf(blocks.BlockAt(offset + buffer.Length - 1) + 1);
            using var holder = await _locks.AcquireAsync(start, end - start, cancellationToken).ConfigureAwait(false);
            await WriteBlocksAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        }

        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await _session.FlushAsync().ConfigureAwait(false);
    }

    private bool HasPlaces(long offset, long length)
    {
        var blocks = _blocks!;
        var last = blocks.BlockAt(offset + length - 1);
        for (var block = blocks.BlockAt(offset); block <= last; block++)
        {
            if (_table![block] < 0)
                return false;
        }

        return true;
    }

    /// <summary>Writes the bytes, then makes the sectors count: bitmaps before entries, and behind a barrier where a sector that
    /// counts without its bytes would show something else than the old ones.</summary>
    private async ValueTask WriteBlocksAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var blocks = _blocks!;
        var pending = new List<VhdPending>();
        try
        {
            while (!buffer.IsEmpty)
            {
                var block = blocks.BlockAt(offset);
                var inBlock = offset - blocks.StartOf(block);
                var length = (int)Math.Min(buffer.Length, blocks.Size - inBlock);
                var place = await PlaceAsync(block, inBlock, length, pending, cancellationToken).ConfigureAwait(false);
                await _file.WriteAsync(blocks.DataAt(place, inBlock), buffer[..length], cancellationToken).ConfigureAwait(false);
                offset += length;
                buffer = buffer[length..];
            }

            _session.Changed();
            await PublishAsync(pending, bytesAreNew: true).ConfigureAwait(false);
        }
        finally
        {
            TakeBackUnused(pending);
        }
    }

    /// <summary>Where a block is, or a new place for it. What will have to be made to count is added to the pending ones.</summary>
    private async ValueTask<long> PlaceAsync(
        long block, long inBlock, long length, List<VhdPending> pending, CancellationToken cancellationToken)
    {
        var place = _table![block];
        if (place < 0)
        {
            place = await _tail!.AllocateAsync(_blocks!, _table.CountFree(), cancellationToken).ConfigureAwait(false);
            pending.Add(new VhdPending(block, place, inBlock, length, IsNew: true));
        }
        else
        {
            var bits = await _bitmaps!.GetAsync(block, place, cancellationToken).ConfigureAwait(false);
            if (VhdBitmaps.RunOf(bits, inBlock, inBlock + length) is not (true, var own) || own < inBlock + length)
                pending.Add(new VhdPending(block, place, inBlock, length, IsNew: false));
        }

        return place;
    }

    /// <summary>Makes sectors count.</summary>
    /// <param name="pending">Which.</param>
    /// <param name="bytesAreNew">They have just been written: what a new place holds may not be stable.</param>
    private async ValueTask PublishAsync(List<VhdPending> pending, bool bytesAreNew)
    {
        if (pending.Count == 0)
            return;
        if (pending.Exists(one => !one.IsNew || (bytesAreNew && _parent is not null)))
            await _session.BarrierAsync(0).ConfigureAwait(false);
        foreach (var one in pending)
        {
            if (one.IsNew)
                await PublishNewAsync(one).ConfigureAwait(false);
            else
                await _bitmaps!.SetAsync(one.Block, one.Place, one.InBlock, one.Length).ConfigureAwait(false);
        }

        _session.Changed();
    }

    private async ValueTask PublishNewAsync(VhdPending one)
    {
        // Without a parent the rest of the place is what it is to read as: zero. So all of it counts, and later writes are plain.
        if (_parent is null)
            await _bitmaps!.CreateAsync(one.Block, one.Place, 0, _blocks!.Size).ConfigureAwait(false);
        else
            await _bitmaps!.CreateAsync(one.Block, one.Place, one.InBlock, one.Length).ConfigureAwait(false);
        try
        {
            await _table!.SetAsync(one.Block, one.Place).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            _bitmaps.Forget(one.Block);
            _session.Fail(failure);
            throw;
        }
    }

    /// <summary>Gives back the places that did not become a block's, because something failed.</summary>
    private void TakeBackUnused(List<VhdPending> pending)
    {
        foreach (var one in pending)
        {
            if (one.IsNew && _table![one.Block] != one.Place)
            {
                _bitmaps!.Forget(one.Block);
                _places!.GiveBack(one.Place);
            }
        }
    }
}
