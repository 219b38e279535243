namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    private const int LocklessAttempts = 4;

    /// <inheritdoc/>
    protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
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

            // A place gets a new owner only after the count has gone up, so an equal count means the bytes were the block's own.
            Interlocked.MemoryBarrier();
            if (_table.UnmapCount == unmaps)
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
