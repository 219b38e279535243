using System.Runtime.CompilerServices;
using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    private const int LocklessAttempts = 4;

    /// <summary>Who has the bytes.</summary>
    private enum Source
    {
        Nobody,
        File,
        Parent,
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        if (inBlock + buffer.Length > BlockSize)
            return ReadPartsAsync(offset, buffer, cancellationToken);
        var unmaps = _table.UnmapCount;
        if (!_table.TryGet(block, out var entry) || !TryFindSource(entry, offset, buffer.Length, out var source))
            return ReadPartsAsync(offset, buffer, cancellationToken);
        if (source == Source.Parent)
            return _parent!.ReadAsync(offset, buffer, cancellationToken);
        if (source == Source.Nobody)
        {
            buffer.Span.Clear();
            return ValueTask.CompletedTask;
        }

        var read = _file.ReadAsync(entry.Offset + inBlock, buffer, cancellationToken);
        if (!read.IsCompletedSuccessfully)
            return FinishReadAsync(read, unmaps, offset, buffer, cancellationToken);
        read.GetAwaiter().GetResult();
        return IsStillOwner(unmaps) ? ValueTask.CompletedTask : ReadPartsAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        var unmaps = _table.UnmapCount;
        if (inBlock + length > BlockSize || !_table.TryGet(block, out var entry) || !TryFindSource(entry, offset, length, out var source))
            return 0;
        if (source == Source.Parent)
            return _parent!.TryMoveToPipe(offset, length, pipe);
        if (source == Source.Nobody)
            return 0;

        // Fewer than asked for is what tells the caller to throw them away.
        var moved = _file.TryMoveToPipe(entry.Offset + inBlock, length, pipe);
        return IsStillOwner(unmaps) ? moved : Math.Min(moved, length - 1);
    }

    bool? ILayer.HasNothing(long offset, int length) =>
        _table.TryGet(Geometry.BlockAt(offset), out var entry) ? entry.State != BlockState.PartiallyPresent && SourceOf(entry) == Source.Parent : null;

    /// <summary>Whether bytes just read were the block's own: a place gets a new owner only after the count has gone up.</summary>
    private bool IsStillOwner(long unmaps)
    {
        Interlocked.MemoryBarrier();
        return _table.UnmapCount == unmaps;
    }

    /// <summary>Says who has a whole range within one block, without waiting; false when that takes a look at the file, or parts of
    /// the range are the parent's and parts are not.</summary>
    private bool TryFindSource(BatEntry entry, long offset, int length, out Source source)
    {
        source = SourceOf(entry);
        if (entry.State != BlockState.PartiallyPresent)
            return true;
        var shift = Geometry.SectorShift;
        var found = _bitmaps!.TryCountAlike(offset >> shift, length >> shift, out var isSet, out var count);
        source = isSet ? Source.File : Source.Parent;
        return found && count == length >> shift;
    }

    /// <summary>Who has the bytes at an offset, and for how many bytes of the range that is so.</summary>
    private async ValueTask<(Source Source, int Length)> FindSourceAsync(
        BatEntry entry, long offset, int length, CancellationToken cancellationToken)
    {
        if (entry.State != BlockState.PartiallyPresent)
            return (SourceOf(entry), length);
        var shift = Geometry.SectorShift;
        var (count, isSet) = await _bitmaps!.CountAlikeAsync(offset >> shift, length >> shift, cancellationToken).ConfigureAwait(false);
        return (isSet ? Source.File : Source.Parent, count << shift);
    }

    /// <summary>Who has the bytes of a block that is not partially present.</summary>
    private Source SourceOf(BatEntry entry) =>
        entry.IsPresent ? Source.File : _parent is not null && entry.IsParents ? Source.Parent : Source.Nobody;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishReadAsync(
        ValueTask read, long unmaps, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await read.ConfigureAwait(false);
        if (!IsStillOwner(unmaps))
            await ReadPartsAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask ReadPartsAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var inBlock = offset - Geometry.StartOf(Geometry.BlockAt(offset));
            var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
            if (!await TryReadPartAsync(offset, buffer[..length], cancellationToken).ConfigureAwait(false))
                await ReadLockedAsync(offset, buffer[..length], cancellationToken).ConfigureAwait(false);
            offset += length;
            buffer = buffer[length..];
        }
    }

    /// <summary>Reads within one block without a lock; false when blocks kept losing their places meanwhile.</summary>
    private async ValueTask<bool> TryReadPartAsync(long offset, Memory<byte> part, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LocklessAttempts; attempt++)
        {
            var unmaps = _table.UnmapCount;
            var isOfFile = await ReadOnceAsync(offset, part, cancellationToken).ConfigureAwait(false);
            if (!isOfFile || IsStillOwner(unmaps))
                return true;
        }

        return false;
    }

    /// <summary>Reads within one block while nobody can change its entry.</summary>
    private async ValueTask ReadLockedAsync(long offset, Memory<byte> part, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(offset, part.Length, cancellationToken).ConfigureAwait(false);
        await ReadOnceAsync(offset, part, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads within one block as its entry says at this moment; true when any of it came from this file.</summary>
    private async ValueTask<bool> ReadOnceAsync(long offset, Memory<byte> part, CancellationToken cancellationToken)
    {
        var block = Geometry.BlockAt(offset);
        var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
        var isOfFile = false;
        while (!part.IsEmpty)
        {
            var (source, length) = await FindSourceAsync(entry, offset, part.Length, cancellationToken).ConfigureAwait(false);
            isOfFile |= source == Source.File;
            if (source == Source.File)
                await _file.ReadAsync(entry.Offset + (offset - Geometry.StartOf(block)), part[..length], cancellationToken).ConfigureAwait(false);
            else if (source == Source.Parent)
                await _parent!.ReadAsync(offset, part[..length], cancellationToken).ConfigureAwait(false);
            else
                part.Span[..length].Clear();
            offset += length;
            part = part[length..];
        }

        return isOfFile;
    }
}
