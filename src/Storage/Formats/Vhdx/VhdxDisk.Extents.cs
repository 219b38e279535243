namespace Godwit.Storage.Formats.Vhdx;

public sealed partial class VhdxDisk
{
    // Bounds the time of one answer; the caller asks again from where it ends.
    private const int MaxFileExtents = 256;

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
        var first = await PieceAsync(offset, end, cancellationToken).ConfigureAwait(false);
        var at = first.End;
        for (var pieces = 1; at < end && pieces < MaxFileExtents; pieces++)
        {
            var next = await PieceAsync(at, end, cancellationToken).ConfigureAwait(false);
            if (next.Kind != first.Kind)
                break;
            at = next.End;
        }

        return new Extent(offset, at - offset, first.Kind);
    }

    /// <summary>What a disk offset holds, up to the end of the run of absent blocks or of the file's own run.</summary>
    private async ValueTask<Extent> PieceAsync(long offset, long end, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        var block = geometry.BlockAt(offset);
        var entry = _table[block];
        if (!entry.IsPresent)
        {
            var next = _table.NextPresent(block + 1, geometry.BlockAt(end - 1) + 1);
            return new Extent(offset, Math.Min(geometry.StartOf(next), end) - offset, ExtentKind.Hole);
        }

        var start = geometry.StartOf(block);
        var length = Math.Min(start + BlockSize, end) - offset;
        var inFile = await _file.GetExtentAsync(entry.Offset + (offset - start), length, cancellationToken).ConfigureAwait(false);

        // The file's runs need not end at a sector's edge: a sector with a single byte of data is data.
        var sectors = inFile.ReadsAsZeroes
            ? VhdxFormat.AlignDown(inFile.Length, 512)
            : Math.Min(VhdxFormat.AlignUp(inFile.Length, 512), length);
        if (sectors == 0)
            return new Extent(offset, 512, ExtentKind.Data);
        var kind = inFile.Kind == ExtentKind.Hole && IsFixed ? ExtentKind.Zero : inFile.Kind;
        return new Extent(offset, sectors, kind);
    }
}
