namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    private const int LocklessAttempts = 4;

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var block = Geometry.BlockAt(offset);
        var inBlock = offset - Geometry.StartOf(block);
        if (inBlock + buffer.Length > BlockSize)
            return ReadPartsAsync(offset, buffer, cancellationToken);
        var unmaps = _table.UnmapCount;
        var entry = _table[block];
        if (!entry.IsPresent)
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

    /// <summary>Whether bytes just read were the block's own: a place gets a new owner only after the count has gone up.</summary>
    private bool IsStillOwner(long unmaps)
    {
        Interlocked.MemoryBarrier();
        return _table.UnmapCount == unmaps;
    }

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
            var block = Geometry.BlockAt(offset);
            var inBlock = offset - Geometry.StartOf(block);
            var length = (int)Math.Min(buffer.Length, BlockSize - inBlock);
            if (!await TryReadPartAsync(block, inBlock, buffer[..length], cancellationToken).ConfigureAwait(false))
                await ReadLockedAsync(offset, buffer[..length], cancellationToken).ConfigureAwait(false);
            offset += length;
            buffer = buffer[length..];
        }
    }

    /// <summary>Reads within one block without a lock; false when blocks kept losing their places meanwhile.</summary>
    private async ValueTask<bool> TryReadPartAsync(long block, long inBlock, Memory<byte> part, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LocklessAttempts; attempt++)
        {
            var unmaps = _table.UnmapCount;
            var entry = _table[block];
            if (!entry.IsPresent)
            {
                part.Span.Clear();
                return true;
            }

            await _file.ReadAsync(entry.Offset + inBlock, part, cancellationToken).ConfigureAwait(false);
            if (IsStillOwner(unmaps))
                return true;
        }

        return false;
    }

    /// <summary>Reads within one block while nobody can change its entry.</summary>
    private async ValueTask ReadLockedAsync(long offset, Memory<byte> part, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(offset, part.Length, cancellationToken).ConfigureAwait(false);
        var block = Geometry.BlockAt(offset);
        var entry = _table[block];
        if (entry.IsPresent)
            await _file.ReadAsync(entry.Offset + (offset - Geometry.StartOf(block)), part, cancellationToken).ConfigureAwait(false);
        else
            part.Span.Clear();
    }
}
