namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    // Bounds the time of one answer; the caller asks again from where it ends.
    private const int MaxFileExtents = 256;
    private const int MaxBlocksOfParent = 16_384;

    /// <inheritdoc/>
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LocklessAttempts; attempt++)
        {
            var unmaps = _table.UnmapCount;
            var extent = await FindExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
            if (IsStillOwner(unmaps))
                return extent;
        }

        // Blocks keep losing their places. "Data" is always a valid answer.
        return new Extent(offset, Math.Min(length, Geometry.StartOf(Geometry.BlockAt(offset) + 1) - offset), ExtentKind.Data);
    }

    private async ValueTask<Extent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var end = offset + length;
        var (first, more) = await PieceAsync(offset, end, cancellationToken).ConfigureAwait(false);
        var at = first.End;
        for (var pieces = 1; more && at < end && pieces < MaxFileExtents; pieces++)
        {
            (var next, more) = await PieceAsync(at, end, cancellationToken).ConfigureAwait(false);
            if (next.Kind != first.Kind || next.Layer != first.Layer)
                break;
            at = next.End;
        }

        return first with { Length = at - offset };
    }

    /// <summary>What a disk offset holds, up to the end of the run of absent blocks or of the file's own or the parent's run.</summary>
    /// <returns>The run, and whether the next one may be of the same kind.</returns>
    private async ValueTask<(Extent Run, bool More)> PieceAsync(long offset, long end, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        var block = geometry.BlockAt(offset);
        var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
        if (!entry.IsPresent)
        {
            var next = await EndOfAbsentAsync(block, SourceOf(entry), geometry.BlockAt(end - 1) + 1, cancellationToken).ConfigureAwait(false);
            var until = Math.Min(geometry.StartOf(next), end);
            return SourceOf(entry) == Source.Parent
                ? await InParentAsync(offset, until - offset, cancellationToken).ConfigureAwait(false)
                : (new Extent(offset, until - offset, ExtentKind.Hole), true);
        }

        var start = geometry.StartOf(block);
        var inBlock = (int)(Math.Min(start + BlockSize, end) - offset);
        var (source, length) = await FindSourceAsync(entry, offset, inBlock, cancellationToken).ConfigureAwait(false);
        if (source == Source.Parent)
            return await InParentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        var inFile = await _file.GetExtentAsync(entry.Offset + (offset - start), length, cancellationToken).ConfigureAwait(false);

        // The file's runs need not end at a sector's edge: a sector with a single byte of data is data.
        var sectors = inFile.ReadsAsZeroes
            ? VhdxFormat.AlignDown(inFile.Length, geometry.SectorSize)
            : Math.Min(VhdxFormat.AlignUp(inFile.Length, geometry.SectorSize), length);
        if (sectors == 0)
            return (new Extent(offset, geometry.SectorSize, ExtentKind.Data), true);
        var kind = inFile.Kind == ExtentKind.Hole && IsFixed ? ExtentKind.Zero : inFile.Kind;
        return (new Extent(offset, sectors, kind), true);
    }

    // A run that the parent ends by itself is not continued: to ask for the next one only to see that it differs would double the
    // requests with every layer of a chain.
    private async ValueTask<(Extent Run, bool More)> InParentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var run = await _parent!.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        return (run, run.Length == length);
    }

    /// <summary>The first block behind a run of blocks without a place that all belong to the same one.</summary>
    private async ValueTask<long> EndOfAbsentAsync(long block, Source source, long end, CancellationToken cancellationToken)
    {
        if (_parent is null)
            return await _table.NextPresentAsync(block + 1, end, cancellationToken).ConfigureAwait(false);
        var last = Math.Min(end, block + MaxBlocksOfParent);
        for (block++; block < last; block++)
        {
            var entry = await _table.GetAsync(block, cancellationToken).ConfigureAwait(false);
            if (entry.IsPresent || SourceOf(entry) != source)
                break;
        }

        return block;
    }
}
