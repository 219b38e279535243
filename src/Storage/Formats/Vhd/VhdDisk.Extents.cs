namespace Godwit.Storage.Formats.Vhd;

public sealed partial class VhdDisk
{
    // Bounds the time of one answer; the caller asks again from where it ends.
    private const int MaxPieces = 256;

    /// <inheritdoc/>
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LocklessAttempts; attempt++)
        {
            var unmaps = _table?.UnmapCount ?? 0;
            var extent = await FindExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
            if (_table is null || IsStillOwner(unmaps))
                return extent;
        }

        // Blocks keep losing their places. "Data" is always a valid answer.
        var blocks = _blocks!;
        return new Extent(offset, Math.Min(length, blocks.StartOf(blocks.BlockAt(offset) + 1) - offset), ExtentKind.Data);
    }

    private async ValueTask<Extent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var end = offset + length;
        var (first, more) = await PieceAsync(offset, end, cancellationToken).ConfigureAwait(false);
        var at = first.End;
        for (var pieces = 1; more && at < end && pieces < MaxPieces; pieces++)
        {
            (var next, more) = await PieceAsync(at, end, cancellationToken).ConfigureAwait(false);
            if (next.Kind != first.Kind || next.Layer != first.Layer)
                break;
            at = next.End;
        }

        return first with { Length = at - offset };
    }

    /// <summary>What a disk offset holds, up to the end of the run of absent blocks, of equal bits, or of the file's own run.</summary>
    /// <returns>The run, and whether the next one may be of the same kind.</returns>
    private async ValueTask<(Extent Run, bool More)> PieceAsync(long offset, long end, CancellationToken cancellationToken)
    {
        if (_table is null)
            return (await InFileAsync(offset, offset, end - offset, cancellationToken).ConfigureAwait(false), true);
        var blocks = _blocks!;
        var block = blocks.BlockAt(offset);
        var place = _table[block];
        if (place < 0)
        {
            var next = _table.NextPresent(block + 1, blocks.BlockAt(end - 1) + 1);
            return await BeneathAsync(offset, Math.Min(blocks.StartOf(next), end), cancellationToken).ConfigureAwait(false);
        }

        var start = blocks.StartOf(block);
        var bits = await _bitmaps!.GetAsync(block, place, cancellationToken).ConfigureAwait(false);
        var (own, runEnd) = VhdBitmaps.RunOf(bits, offset - start, Math.Min(start + blocks.Size, end) - start);
        return own
            ? (await InFileAsync(offset, blocks.DataAt(place, offset - start), start + runEnd - offset, cancellationToken).ConfigureAwait(false), true)
            : await BeneathAsync(offset, start + runEnd, cancellationToken).ConfigureAwait(false);
    }

    // A run that the parent ends by itself is not continued: to ask for the next one only to see that it differs would double the
    // requests with every layer of a chain.
    private async ValueTask<(Extent Run, bool More)> BeneathAsync(long offset, long end, CancellationToken cancellationToken)
    {
        if (_parent is null)
            return (new Extent(offset, end - offset, ExtentKind.Hole), true);
        var run = await _parent.GetExtentAsync(offset, end - offset, cancellationToken).ConfigureAwait(false);
        return (run, run.End == end);
    }

    private async ValueTask<Extent> InFileAsync(long offset, long inFile, long length, CancellationToken cancellationToken)
    {
        var found = await _file.GetExtentAsync(inFile, length, cancellationToken).ConfigureAwait(false);

        // The file's runs need not end at a sector's edge: a sector with a single byte of data is data.
        var sectors = found.ReadsAsZeroes
            ? found.Length / VhdFormat.Sector * VhdFormat.Sector
            : Math.Min(VhdFormat.AlignUp(found.Length, VhdFormat.Sector), length);
        if (sectors == 0)
            return new Extent(offset, VhdFormat.Sector, ExtentKind.Data);
        return new Extent(offset, sectors, found.Kind == ExtentKind.Hole && IsFixed ? ExtentKind.Zero : found.Kind);
    }
}
