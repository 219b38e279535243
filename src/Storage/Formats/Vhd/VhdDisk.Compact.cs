using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <content>Giving space back: docs/design/compact.md.</content>
public sealed partial class VhdDisk : IPackedDisk, IPunchableDisk
{
    int IPackedDisk.BytesPerBlock => _blocks!.Size;

    long IPackedDisk.BlockCount => _blocks!.Count;

    long IPackedDisk.FileLength => _file.Length;

    BlockDevice? IPackedDisk.ParentDevice => _parent;

    ValueTask<long> IPackedDisk.NextPlacedAsync(long block, CancellationToken cancellationToken) =>
        ValueTask.FromResult(_table!.NextPresent(block, _table.Count));

    /// <remarks>The format has no state that hides the parent.</remarks>
    async ValueTask<bool> IPackedDisk.CanDropAsync(long block, CancellationToken cancellationToken)
    {
        if (_parent is null)
            return true;
        var buffer = new byte[1 << 20];
        var end = _blocks!.StartOf(block) + _blocks.UsedLength(block);
        for (var at = _blocks.StartOf(block); at < end;)
        {
            var run = await _parent.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);
            var part = run.ReadsAsZeroes ? run.Length : Math.Min(run.Length, buffer.Length);
            if (!run.ReadsAsZeroes)
            {
                var bytes = buffer.AsMemory(0, (int)part);
                await _parent.ReadAsync(at, bytes, cancellationToken).ConfigureAwait(false);
                if (bytes.Span.ContainsAnyExcept((byte)0))
                    return false;
            }

            at += part;
        }

        return true;
    }

    async ValueTask IPackedDisk.DropAsync(IReadOnlyList<DroppedBlock> blocks, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(0, long.MaxValue, cancellationToken).ConfigureAwait(false);
        for (var next = 0; next < blocks.Count;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _session.ThrowIfOver();
            var first = next++;
            while (next < blocks.Count && blocks[next].Block == blocks[next - 1].Block + 1)
                next++;
            await UnmapAsync(blocks[first].Block, next - first).ConfigureAwait(false);
        }
    }

    /// <remarks>What children record of a VHD does not change with its content.</remarks>
    ValueTask IPackedDisk.ChangeIdentityAsync() => ValueTask.CompletedTask;

    async ValueTask<long> IPackedDisk.CountFreeAsync(CancellationToken cancellationToken)
    {
        long free = 0;
        foreach (var gap in await FindGapsAsync(cancellationToken).ConfigureAwait(false))
            free += gap.Length >= _blocks!.PlaceLength ? gap.Length : 0;
        return free;
    }

    async ValueTask<long> IPackedDisk.PackAsync(long batchBytes, Action<long, long> progress, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(0, long.MaxValue, cancellationToken).ConfigureAwait(false);
        _session.ThrowIfOver();

        // A place whose entry was taken away may be written to only once that is stable.
        await _session.EndAsync().ConfigureAwait(false);
        _places!.Forget();
        var packing = new VhdPacking(_file, _blocks!, _table!, _bitmaps!, _session, _tail!.End);
        var gaps = await FindGapsAsync(cancellationToken).ConfigureAwait(false);
        await packing.RunAsync(gaps, batchBytes, progress, cancellationToken).ConfigureAwait(false);

        // Nor may the footer be written into the old place of a block that may still need it.
        await _session.BarrierAsync(0).ConfigureAwait(false);
        await _tail.TrimAsync(VhdRepair.LastUsed(_table!, _blocks!, _metadataEnd)).ConfigureAwait(false);
        await GapSpace.PunchAsync(_file, await FindGapsAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        return packing.Moved;
    }

    async ValueTask IPunchableDisk.PunchAsync(long offset, long length, CancellationToken cancellationToken)
    {
        using var holder = await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false);
        _session.ThrowIfOver();
        if (_table is null)
        {
            await _file.PunchHoleAsync(offset, length, cancellationToken).ConfigureAwait(false);
            return;
        }

        var blocks = _blocks!;
        for (var end = offset + length; offset < end;)
        {
            var block = blocks.BlockAt(offset);
            var part = Math.Min(end, blocks.StartOf(block + 1)) - offset;
            if (_table[block] is >= 0 and var place)
            {
                await _file.PunchHoleAsync(blocks.DataAt(place, offset - blocks.StartOf(block)), part, cancellationToken).ConfigureAwait(false);
                _session.Changed();
            }

            offset += part;
        }
    }

    private async ValueTask<List<FileRange>> FindGapsAsync(CancellationToken cancellationToken)
    {
        var footers = new VhdFooters(_footers.Current, _tail!.End, IsInPlace: true, HasCopy: true);
        var entries = VhdTableEntries.Of(_file, _header!, _blocks!.Count, _tail.End);
        var layout = await VhdLayout.ExamineAsync(footers, _header!, _blocks, entries, VhdxFindings.Strict(_file), cancellationToken).ConfigureAwait(false);
        return layout.Gaps;
    }
}
