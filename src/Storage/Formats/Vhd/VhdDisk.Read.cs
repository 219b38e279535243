using System.Runtime.CompilerServices;
using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhd;

public sealed partial class VhdDisk
{
    private const int LocklessAttempts = 4;

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_table is null)
            return _file.ReadAsync(offset, buffer, cancellationToken);
        var blocks = _blocks!;
        var block = blocks.BlockAt(offset);
        var inBlock = offset - blocks.StartOf(block);
        if (inBlock + buffer.Length > blocks.Size)
            return ReadPartsAsync(offset, buffer, cancellationToken);
        var unmaps = _table.UnmapCount;
        var place = _table[block];
        if (place < 0)
            return ReadBeneathAsync(offset, buffer, cancellationToken);
        if (!_bitmaps!.Covers(block, inBlock, buffer.Length))
            return ReadPartsAsync(offset, buffer, cancellationToken);
        var read = _file.ReadAsync(blocks.DataAt(place, inBlock), buffer, cancellationToken);
        if (!read.IsCompletedSuccessfully)
            return FinishReadAsync(read, unmaps, offset, buffer, cancellationToken);
        read.GetAwaiter().GetResult();
        return IsStillOwner(unmaps) ? ValueTask.CompletedTask : ReadPartsAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        if (_table is null)
            return _file.TryMoveToPipe(offset, length, pipe);
        var block = _blocks!.BlockAt(offset);
        var inBlock = offset - _blocks.StartOf(block);
        if (inBlock + length > _blocks.Size)
            return 0;
        var unmaps = _table.UnmapCount;
        var place = _table[block];
        if (place < 0)
            return _parent?.TryMoveToPipe(offset, length, pipe) ?? 0;
        if (!_bitmaps!.Covers(block, inBlock, length))
            return 0;

        // Fewer than asked for is what tells the caller to throw them away.
        var moved = _file.TryMoveToPipe(_blocks.DataAt(place, inBlock), length, pipe);
        return IsStillOwner(unmaps) ? moved : Math.Min(moved, length - 1);
    }

    /// <summary>What shows where the disk has no sectors of its own: the parent, or zeroes.</summary>
    private ValueTask ReadBeneathAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_parent is not null)
            return _parent.ReadAsync(offset, buffer, cancellationToken);
        buffer.Span.Clear();
        return ValueTask.CompletedTask;
    }

    bool? ILayer.HasNothing(long offset, int length) => _table is not null && _table[_blocks!.BlockAt(offset)] < 0;

    /// <summary>Whether bytes just read were the block's own: a place gets a new owner only after the count has gone up.</summary>
    private bool IsStillOwner(long unmaps)
    {
        Interlocked.MemoryBarrier();
        return _table!.UnmapCount == unmaps;
    }

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
        var blocks = _blocks!;
        while (!buffer.IsEmpty)
        {
            var block = blocks.BlockAt(offset);
            var inBlock = offset - blocks.StartOf(block);
            var length = (int)Math.Min(buffer.Length, blocks.Size - inBlock);
            if (!await TryReadPartAsync(block, inBlock, buffer[..length], cancellationToken).ConfigureAwait(false))
            {
                using var holder = await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
                await ReadPartAsync(block, inBlock, buffer[..length], cancellationToken).ConfigureAwait(false);
            }

            offset += length;
            buffer = buffer[length..];
        }
    }

    /// <summary>Reads within one block without a lock; false when blocks kept losing their places meanwhile.</summary>
    private async ValueTask<bool> TryReadPartAsync(long block, long inBlock, Memory<byte> part, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LocklessAttempts; attempt++)
        {
            var unmaps = _table!.UnmapCount;
            await ReadPartAsync(block, inBlock, part, cancellationToken).ConfigureAwait(false);
            if (IsStillOwner(unmaps))
                return true;
        }

        return false;
    }

    /// <summary>Reads within one block, each run of sectors from where it is.</summary>
    private async ValueTask ReadPartAsync(long block, long inBlock, Memory<byte> part, CancellationToken cancellationToken)
    {
        var blocks = _blocks!;
        var place = _table![block];
        if (place < 0)
        {
            await ReadBeneathAsync(blocks.StartOf(block) + inBlock, part, cancellationToken).ConfigureAwait(false);
            return;
        }

        var bits = await _bitmaps!.GetAsync(block, place, cancellationToken).ConfigureAwait(false);
        while (!part.IsEmpty)
        {
            var (own, end) = VhdBitmaps.RunOf(bits, inBlock, inBlock + part.Length);
            var run = part[..(int)(end - inBlock)];
            if (own)
                await _file.ReadAsync(blocks.DataAt(place, inBlock), run, cancellationToken).ConfigureAwait(false);
            else
                await ReadBeneathAsync(blocks.StartOf(block) + inBlock, run, cancellationToken).ConfigureAwait(false);
            part = part[run.Length..];
            inBlock = end;
        }
    }
}
