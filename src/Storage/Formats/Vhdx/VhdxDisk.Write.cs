using System.Runtime.CompilerServices;
using Godwit.Storage.Locking;

namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        // The common case without a state machine: sectors of one block that have a place, nobody in the way, the page cache takes it.
        if (flags != WriteFlags.None || !_session.IsReady || !TryFindPlace(offset, buffer.Length, out _))
            return WriteSlowlyAsync(offset, buffer, flags, cancellationToken);
        var acquiring = _locks.AcquireAsync(offset, buffer.Length, cancellationToken);
        return acquiring.IsCompletedSuccessfully
            ? OverwriteAsync(acquiring.Result, offset, buffer, cancellationToken)
            : OverwriteLaterAsync(acquiring, offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (!_session.IsReady || !_locks.TryAcquire(offset, length, out var holder))
            return false;
        using (holder)
        {
            if (!TryFindPlace(offset, length, out var place) || !_file.TryMoveFromPipe(place, length, pipe))
                return false;
            _session.Changed();
            return true;
        }
    }

    /// <summary>Where in the file a range of one block is when all its sectors are the file's own, without waiting.</summary>
    private bool TryFindPlace(long offset, int length, out long place)
    {
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        place = 0;
        if (inBlock + length > BlockSize || !_table.TryGet(block, out var entry)
            || !TryFindSource(entry, offset, length, out var source) || source != Source.File)
        {
            return false;
        }

        place = entry.Offset + inBlock;
        return true;
    }

    /// <summary>Writes within one block that had a place a moment ago, and gives the range back.</summary>
    private ValueTask OverwriteAsync(RangeLock.Holder holder, long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var handedOver = false;
        try
        {
            if (!TryFindPlace(offset, buffer.Length, out var place))
            {
                handedOver = true;
                holder.Dispose();
                return WriteSlowlyAsync(offset, buffer, WriteFlags.None, cancellationToken);
            }

            var write = _file.WriteAsync(place, buffer, cancellationToken);
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
        ValueTask<RangeLock.Holder> acquiring, long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var holder = await acquiring.ConfigureAwait(false);
        await OverwriteAsync(holder, offset, buffer, cancellationToken).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
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

    /// <summary>Writes when every sector concerned has a place; else writes nothing.</summary>
    private async ValueTask<bool> TryOverwriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var end = offset + buffer.Length;
        for (var at = offset; at < end;)
        {
            var next = Math.Min(end, Geometry.StartOf(Geometry.BlockAt(at) + 1));
            var entry = await _table.GetAsync(Geometry.BlockAt(at), cancellationToken).ConfigureAwait(false);
            if (!await IsOwnAsync(entry, at, next - at, cancellationToken).ConfigureAwait(false))
                return false;
            at = next;
        }

        while (!buffer.IsEmpty)
        {
            var block = Geometry.BlockAt(offset);
            var inBlock = offset - Geometry.StartOf(block);
            var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
            var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
            await _file.WriteAsync(entry.Offset + inBlock, buffer[..length], cancellationToken).ConfigureAwait(false);
            offset += length;
            buffer = buffer[length..];
        }

        _session.Changed();
        return true;
    }

    /// <summary>Whether all sectors of a range of one block are this file's own.</summary>
    private ValueTask<bool> IsOwnAsync(BatEntry entry, long offset, long length, CancellationToken cancellationToken) =>
        entry.State == BlockState.PartiallyPresent
            ? _bitmaps!.AreSetAsync(Geometry.SectorAt(offset), length >> Geometry.SectorShift, cancellationToken)
            : new ValueTask<bool>(entry.IsPresent);

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
                var inBlock = offset - geometry.StartOf(geometry.BlockAt(offset));
                var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
                var place = await PlaceAsync(offset, length, changes, cancellationToken).ConfigureAwait(false);
                await _file.WriteAsync(place, buffer[..length], cancellationToken).ConfigureAwait(false);
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

    /// <summary>Where in the file the bytes of a range of one block are to go. What must be logged once they are there is added to
    /// the changes: a new place, bits of the sector bitmap, or nothing. The caller holds the whole block.</summary>
    private async ValueTask<long> PlaceAsync(long offset, long length, List<BatChange> changes, CancellationToken cancellationToken)
    {
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
        if (await IsOwnAsync(entry, offset, length, cancellationToken).ConfigureAwait(false))
            return entry.Offset + inBlock;

        // Over zeroes a new place needs no more care: whatever a power cut leaves of it, it was zero before.
        var overParent = entry.IsPresent || SourceOf(entry) == Source.Parent;
        var isPart = overParent && length < Geometry.UsedLength(block);
        if (isPart)
            await EnsureBitmapAsync(Geometry.ChunkOf(block), cancellationToken).ConfigureAwait(false);
        var place = entry.IsPresent ? entry.Offset : await _space.AllocateAsync(cancellationToken).ConfigureAwait(false);
        changes.Add(new BatChange(
            Geometry.EntryOf(block),
            new BatEntry(isPart ? BlockState.PartiallyPresent : BlockState.FullyPresent, place),
            isPart ? BitsOf(block, offset, length, keepOthers: entry.IsPresent) : null,
            overParent));
        return place + inBlock;
    }

    /// <summary>Gives back the places that did not become a block's, because something failed. What became of an entry
    /// that has left memory is not asked: its place stays unused until the next open at worst.</summary>
    private void TakeBackUnused(List<BatChange> changes)
    {
        foreach (var change in changes)
        {
            if (_table.TryGet(Geometry.BlockOf(change.Index), out var entry) && !(entry.IsPresent && entry.Offset == change.Entry.Offset))
                _space.GiveBack(change.Entry.Offset);
        }
    }
}
