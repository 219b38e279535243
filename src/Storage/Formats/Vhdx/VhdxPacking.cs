using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Moves blocks and sector bitmaps from the end of the file into its gaps and cuts the file.</summary>
/// <remarks>The memory it takes is bounded: 1 bit for each MiB of the file and 65,536 blocks at a time. [MS-VHDX] 2.3 for the log,
/// 2.5.1 for the entries.</remarks>
internal sealed class VhdxPacking(
    IStorageFile file, BlockAllocationTable table, IReadOnlyList<FileRange> fixedRanges, VhdxSession session)
{
    private const int MaxItems = 1 << 16;
    private const int ChangesPerCommit = 4096;
    private readonly FileClaims _claims = new();
    private readonly VhdxGeometry _geometry = table.Geometry;
    private long _firstGap;

    /// <summary>Blocks that got another place.</summary>
    public long Moved { get; private set; }

    /// <summary>Bytes of the file that nothing readable is in.</summary>
    public async ValueTask<long> CountFreeAsync(CancellationToken cancellationToken)
    {
        await ClaimAsync(cancellationToken).ConfigureAwait(false);
        long free = 0;
        for (var gap = _claims.NextGap(0, file.Length); gap.Length > 0; gap = _claims.NextGap(gap.End, file.Length))
            free += gap.Length;
        return free;
    }

    /// <summary>Takes the reserved places of blocks that are not there away; Hyper-V leaves such places when a guest trims.</summary>
    public async ValueTask ReleaseReservedAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var changes = new List<BatChange>();
            await table.ForEachUsedAsync(
                (index, entry) =>
                {
                    if (entry.RawOffset != 0 && BatEntryRules.OwnedLength(_geometry, index, entry) == 0 && changes.Count < ChangesPerCommit)
                        changes.Add(new BatChange(index, Released(index, entry)));
                },
                cancellationToken).ConfigureAwait(false);
            if (changes.Count == 0)
                return;
            await session.PrepareAsync(cancellationToken).ConfigureAwait(false);
            await session.CommitAsync(changes).ConfigureAwait(false);
        }
    }

    /// <summary>Moves what can be moved, then cuts the file. The log is empty to begin with.</summary>
    public async ValueTask RunAsync(long batchBytes, Action<long, long> progress, CancellationToken cancellationToken)
    {
        await ClaimAsync(cancellationToken).ConfigureAwait(false);
        var moves = new BlockMoves(file, batchBytes, FlushAsync, PublishAsync);
        while (await MoveLastAsync(moves, progress, cancellationToken).ConfigureAwait(false))
            cancellationToken.ThrowIfCancellationRequested();
        await moves.CompleteAsync().ConfigureAwait(false);
        await PunchGapsAsync(cancellationToken).ConfigureAwait(false);
        var end = Math.Max(_claims.LastEnd(), VhdxFormat.HeaderSectionEnd);
        if (end < file.Length)
        {
            await session.PrepareAsync(CancellationToken.None).ConfigureAwait(false);
            await session.CutAsync(end).ConfigureAwait(false);
        }
    }

    /// <summary>Takes the sector bitmaps away that no block needs: only those of partially present ones are ever asked ([MS-VHDX] 2.5.1.2).
    /// Who makes a block partially present again sets all of its bits.</summary>
    public async ValueTask ReleaseBitmapsAsync(CancellationToken cancellationToken)
    {
        var needed = new HashSet<long>();
        var present = new List<long>();
        await table.ForEachUsedAsync(
            (index, entry) =>
            {
                if (_geometry.IsBitmapEntry(index) && entry.IsPresent)
                    present.Add(index);
                else if (entry.State == BlockState.PartiallyPresent && !_geometry.IsBitmapEntry(index) && !_geometry.IsBehindEnd(index))
                    needed.Add(_geometry.BitmapEntryOf(index / (_geometry.ChunkRatio + 1)));
            },
            cancellationToken).ConfigureAwait(false);
        foreach (var unneeded in present.Where(index => !needed.Contains(index)).Chunk(ChangesPerCommit))
        {
            await session.PrepareAsync(cancellationToken).ConfigureAwait(false);
            await session.CommitAsync([.. unneeded.Select(static index => new BatChange(index, default))]).ConfigureAwait(false);
        }
    }

    /// <summary>The places that were left are stable as nobody's by now.</summary>
    private async ValueTask PunchGapsAsync(CancellationToken cancellationToken)
    {
        var gaps = new List<FileRange>();
        for (var gap = _claims.NextGap(0, file.Length); gap.Length > 0; gap = _claims.NextGap(gap.End, file.Length))
            gaps.Add(gap);
        if (gaps.Count == 0)
            return;
        await session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        await GapSpace.PunchAsync(file, gaps, cancellationToken).ConfigureAwait(false);
        session.Changed();
    }

    private BatEntry Released(long index, BatEntry entry)
    {
        if (_geometry.IsBitmapEntry(index) || _geometry.IsBehindEnd(index))
            return default;
        return new BatEntry(entry.State == BlockState.UnmappedInDrafts ? BlockState.Unmapped : entry.State, 0);
    }

    private async ValueTask ClaimAsync(CancellationToken cancellationToken)
    {
        foreach (var range in fixedRanges)
            _claims.Claim(range.Start, range.Length);
        await table.ForEachUsedAsync(
            (index, entry) => _claims.Claim(entry.Offset, BatEntryRules.OwnedLength(_geometry, index, entry)), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Moves the last blocks of the file as long as there are gaps for them.</summary>
    /// <returns>There may be more to move.</returns>
    private async ValueTask<bool> MoveLastAsync(BlockMoves moves, Action<long, long> progress, CancellationToken cancellationToken)
    {
        await moves.CompleteAsync().ConfigureAwait(false);
        var before = file.Length;
        long free = 0;
        for (var gap = _claims.NextGap(0, before); gap.Length > 0; gap = _claims.NextGap(gap.End, before))
            free += gap.Length;
        var immovable = fixedRanges.Max(static range => range.End);
        var items = await FindLastAsync(cancellationToken).ConfigureAwait(false);
        foreach (var (index, offset, length) in items)
        {
            if (offset < immovable || FindGap(length, offset) is not long place)
                return false;
            await session.PrepareAsync(cancellationToken).ConfigureAwait(false);
            await moves.AddAsync(new BlockMoves.Move(index, offset, place, length), cancellationToken).ConfigureAwait(false);
            _claims.Claim(place, length);
            _claims.Release(offset, length);
            Moved++;
            progress(Math.Min(free, before - offset), free);
        }

        return items.Count == MaxItems;
    }

    /// <summary>The blocks and bitmaps that are last in the file, the very last one first.</summary>
    private async ValueTask<List<(long Index, long Offset, long Length)>> FindLastAsync(CancellationToken cancellationToken)
    {
        var last = new PriorityQueue<(long Index, long Offset, long Length), long>();
        await table.ForEachUsedAsync(
            (index, entry) =>
            {
                var length = BatEntryRules.OwnedLength(_geometry, index, entry);
                if (length == 0)
                    return;
                if (last.Count < MaxItems)
                    last.Enqueue((index, entry.Offset, length), entry.Offset);
                else
                    last.EnqueueDequeue((index, entry.Offset, length), entry.Offset);
            },
            cancellationToken).ConfigureAwait(false);
        var items = new List<(long, long, long)>(last.Count);
        while (last.TryDequeue(out var item, out _))
            items.Add(item);
        items.Reverse();
        return items;
    }

    /// <summary>The first gap below that is large enough. A sector bitmap takes one that is too small for a block where there is one.</summary>
    private long? FindGap(long length, long below)
    {
        if (length == _geometry.BlockSize)
        {
            for (var gap = _claims.NextGap(_firstGap, below); gap.Length > 0; gap = _claims.NextGap(gap.End, below))
            {
                if (gap.Length >= length)
                    return _firstGap = gap.Start;
            }

            return null;
        }

        long? first = null;
        for (var gap = _claims.NextGap(0, below); gap.Length > 0; gap = _claims.NextGap(gap.End, below))
        {
            if (gap.Length < _geometry.BlockSize)
                return gap.Start;
            first ??= gap.Start;
        }

        return first;
    }

    private async ValueTask FlushAsync()
    {
        session.Changed();
        await session.FlushAsync().ConfigureAwait(false);
    }

    private async ValueTask PublishAsync(IReadOnlyList<BlockMoves.Move> batch)
    {
        var changes = new List<BatChange>(batch.Count);
        foreach (var move in batch)
        {
            var entry = await table.GetEntryAsync(move.Owner, CancellationToken.None).ConfigureAwait(false);
            changes.Add(new BatChange(move.Owner, new BatEntry(entry.State, move.To)));
        }

        changes.Sort(static (a, b) => a.Index.CompareTo(b.Index));
        await session.CommitAsync(changes).ConfigureAwait(false);
    }
}
