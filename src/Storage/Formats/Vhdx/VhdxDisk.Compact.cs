using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <content>Giving space back: docs/design/compact.md.</content>
public sealed partial class VhdxDisk : IPackedDisk, IPunchableDisk
{
    private readonly IReadOnlyList<FileRange> _fixedRanges;

    int IPackedDisk.BytesPerBlock => BlockSize;

    long IPackedDisk.BlockCount => Geometry.BlockCount;

    long IPackedDisk.FileLength => _file.Length;

    BlockDevice? IPackedDisk.ParentDevice => _parent;

    ValueTask<long> IPackedDisk.NextPlacedAsync(long block, CancellationToken cancellationToken) =>
        _table.NextPresentAsync(block, Geometry.BlockCount, cancellationToken);

    /// <remarks>The zero state hides the parent.</remarks>
    ValueTask<bool> IPackedDisk.CanDropAsync(long block, CancellationToken cancellationToken) => ValueTask.FromResult(true);

    async ValueTask IPackedDisk.DropAsync(IReadOnlyList<DroppedBlock> blocks, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        using var holder = await _locks.AcquireAsync(0, long.MaxValue, cancellationToken).ConfigureAwait(false);
        var changes = new List<BatChange>(blocks.Count);
        foreach (var (block, showsParent) in blocks)
            changes.Add(new BatChange(Geometry.EntryOf(block), new BatEntry(showsParent ? BlockState.NotPresent : BlockState.Zero, 0)));
        await UnmapAsync(changes).ConfigureAwait(false);
    }

    ValueTask IPackedDisk.ChangeIdentityAsync() => _session.ChangeIdentityAsync();

    ValueTask<long> IPackedDisk.CountFreeAsync(CancellationToken cancellationToken) =>
        new VhdxPacking(_file, _table, _fixedRanges, _session).CountFreeAsync(cancellationToken);

    async ValueTask<long> IPackedDisk.PackAsync(long batchBytes, Action<long, long> progress, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(0, long.MaxValue, cancellationToken).ConfigureAwait(false);
        var packing = new VhdxPacking(_file, _table, _fixedRanges, _session);
        await packing.ReleaseReservedAsync(cancellationToken).ConfigureAwait(false);
        await packing.ReleaseBitmapsAsync(cancellationToken).ConfigureAwait(false);

        // No page of a sector bitmap may wait in the log with a place that is about to change.
        await _session.EndAsync().ConfigureAwait(false);
        _space.Forget();
        await packing.RunAsync(batchBytes, progress, cancellationToken).ConfigureAwait(false);
        return packing.Moved;
    }

    async ValueTask IPunchableDisk.PunchAsync(long offset, long length, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
        for (var end = offset + length; offset < end;)
        {
            var block = Geometry.BlockAt(offset);
            var part = Math.Min(end, Geometry.StartOf(block + 1)) - offset;
            var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
            if (entry.IsPresent)
            {
                await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
                await _file.PunchHoleAsync(entry.Offset + offset - Geometry.StartOf(block), part, cancellationToken).ConfigureAwait(false);
                _session.Changed();
            }

            offset += part;
        }
    }
}
