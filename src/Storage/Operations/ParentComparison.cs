namespace Godwit.Storage.Operations;

/// <summary>Tells where a differencing disk reads like its parent.</summary>
/// <param name="disk">The disk.</param>
/// <param name="parent">Its parent, in the disk's sectors and at least as long.</param>
internal sealed class ParentComparison(BlockDevice disk, BlockDevice parent)
{
    private readonly byte[] _own = new byte[256 << 10];
    private readonly byte[] _parents = new byte[256 << 10];

    /// <summary>Whether a range reads the same. Stops at the first piece that does not.</summary>
    public async ValueTask<bool> IsEqualAsync(long start, long end, CancellationToken cancellationToken)
    {
        for (var at = start; at < end;)
        {
            var extent = await disk.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);
            if (extent.Layer > 0)
            {
                at = extent.End;
                continue;
            }

            var below = await parent.GetExtentAsync(at, extent.Length, cancellationToken).ConfigureAwait(false);
            if (extent.ReadsAsZeroes && below.ReadsAsZeroes)
            {
                at = below.End;
                continue;
            }

            var length = (int)Math.Min(_own.Length, below.Length);
            await disk.ReadAsync(at, _own.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            await parent.ReadAsync(at, _parents.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            if (!_own.AsSpan(0, length).SequenceEqual(_parents.AsSpan(0, length)))
                return false;
            at += length;
        }

        return true;
    }
}
