using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts the two copies of the region table right.</summary>
/// <remarks>[MS-VHDX] section 2.2.3: two copies with the same content.</remarks>
internal static class VhdxRegionRepair
{
    /// <summary>Makes both copies valid and equal.</summary>
    /// <returns>The table, or null when it must be right before anything else can be looked at.</returns>
    public static async ValueTask<VhdxRegionTable?> RunAsync(RepairWork work, VhdxHeader header, CancellationToken cancellationToken)
    {
        if (!await LengthenCutTableAsync(work, cancellationToken).ConfigureAwait(false))
            return null;
        var first = await ReadAsync(work, header, VhdxFormat.FirstRegionTableOffset, cancellationToken).ConfigureAwait(false);
        var second = await ReadAsync(work, header, VhdxFormat.SecondRegionTableOffset, cancellationToken).ConfigureAwait(false);
        if (first.Table is null && second.Table is null)
            return await BothLostAsync(work, header, first, second, cancellationToken).ConfigureAwait(false);
        if (first.Table is null)
        {
            await work.File.WriteAsync(first.Offset, second.Bytes, cancellationToken).ConfigureAwait(false);
            work.Mended(first.Offset, $"the first region table is damaged ({first.Problem})", "it is written again from the second one");
            return second.Table;
        }

        if (!first.Bytes.AsSpan().SequenceEqual(second.Bytes))
        {
            var problem = second.Table is null ? $"the second region table is damaged ({second.Problem})" : "the two region tables differ";
            await work.File.WriteAsync(second.Offset, first.Bytes, cancellationToken).ConfigureAwait(false);
            work.Mended(second.Offset, problem, "the second one is written again from the first one, which rules");
        }

        return first.Table;
    }

    /// <summary>A file that ends inside its block table gets the rest of it back, empty: a table that was moved when the disk grew stands
    /// behind the blocks, and those whose entries are left are all there. What is lost with the others is the table's to say.</summary>
    /// <returns>False when that is needed and not permitted.</returns>
    private static async ValueTask<bool> LengthenCutTableAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdxFormat.RegionTableLength];
        foreach (var offset in (long[])[VhdxFormat.FirstRegionTableOffset, VhdxFormat.SecondRegionTableOffset])
        {
            await work.File.ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
            if (VhdxRegionTable.ProblemOf(bytes) is not null)
                continue;

            // Where the log has made the file longer, it may still end inside the table.
            if ((VhdxRegionTable.FindCut(bytes, VhdxFormat.BatRegion, work.DataEnd)
                ?? VhdxRegionTable.FindCut(bytes, VhdxFormat.BatRegion, work.File.Length)) is not VhdxRegion bat)
            {
                return true;
            }

            var end = bat.Offset < work.DataEnd ? work.DataEnd : work.File.Length;
            if (!work.MayGiveUp(end,
                $"the file ends at {end}, inside its block allocation table ({bat.Length} bytes at {bat.Offset})",
                "the rest of the table becomes empty; what is lost by that is listed next"))
            {
                // A log that got a new place would make the file longer, and nobody could tell any more that it was cut.
                work.Postpone();
                return false;
            }

            await work.File.SetLengthAsync(Math.Max(work.File.Length, bat.End), cancellationToken).ConfigureAwait(false);
            return true;
        }

        return true;
    }

    private static async ValueTask<Found> ReadAsync(RepairWork work, VhdxHeader header, long offset, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdxFormat.RegionTableLength];
        await work.File.ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
        if (VhdxRegionTable.ProblemOf(bytes) is string problem)
            return new Found(offset, bytes, null, problem, IsDamage: true);
        try
        {
            return new Found(offset, bytes, VhdxRegionTable.Parse(work.File, header, bytes, offset), "", IsDamage: false);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            return new Found(offset, bytes, null, e.Reason, IsDamage: e.Kind == StorageErrorKind.Corrupt);
        }
    }

    private static async ValueTask<VhdxRegionTable?> BothLostAsync(
        RepairWork work, VhdxHeader header, Found first, Found second, CancellationToken cancellationToken)
    {
        if (!first.IsDamage)
        {
            work.Impossible(first.Offset, first.Problem, "only a program that knows this region may change the file");
            return null;
        }

        var problem = $"both region tables are damaged (first: {first.Problem}; second: {second.Problem})";
        var search = new VhdxRegionSearch(work.File, header, [first.Bytes, second.Bytes]);
        if (await search.FindAsync(cancellationToken).ConfigureAwait(false) is not byte[] found)
        {
            work.Impossible(first.Offset, problem,
                "metadata and block table were not found in the file beyond doubt; take the image from a backup, or search the file's bytes with a recovery program");
            return null;
        }

        if (!work.MayGiveUp(first.Offset, problem, $"written anew from what was found in the file: {search.Description}; compare the disk's content before trusting it"))
            return null;
        if (search.Length > work.File.Length)
            await work.File.SetLengthAsync(search.Length, cancellationToken).ConfigureAwait(false);
        await work.File.WriteAsync(first.Offset, found, cancellationToken).ConfigureAwait(false);
        await work.File.WriteAsync(second.Offset, found, cancellationToken).ConfigureAwait(false);
        return VhdxRegionTable.Parse(work.File, header, found, first.Offset);
    }

    private sealed record Found(long Offset, byte[] Bytes, VhdxRegionTable? Table, string Problem, bool IsDamage);
}
