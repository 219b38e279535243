using System.Buffers;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Goes through the blocks that have a place in the order of the file. Of several at one place the first of the disk
/// comes first.</summary>
/// <remarks>Memory is bounded whatever the table says: entries are counted by the upper half of their numbers, and as many stretches
/// of the file as fit are collected and sorted at a time. A stretch that does not fit is counted by the lower half; a single
/// place that still has too many needs no sorting.</remarks>
/// <param name="entries">The table.</param>
/// <param name="isWanted">Tells by block and place which are to be visited at all.</param>
/// <param name="limit">How many to sort at a time, 8 bytes each.</param>
internal sealed class VhdPlaceOrder(VhdTableEntries entries, Func<long, long, bool> isWanted, int limit = VhdPlaceOrder.UsualLimit)
{
    /// <summary>8 MiB; the blocks of the largest disk there is, 2 MiB each.</summary>
    public const int UsualLimit = 1 << 20;

    private const int HalfBits = 16;
    private const int Half = 1 << HalfBits;

    /// <summary>Visits them.</summary>
    /// <param name="visit">Gets block and place.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask VisitAsync(Action<long, long> visit, CancellationToken cancellationToken)
    {
        var items = ArrayPool<ulong>.Shared.Rent((int)Math.Min(limit, Math.Max(1, entries.Count)));
        try
        {
            if (entries.Count <= limit)
                await CollectAsync(0, VhdTableEntries.Free - 1, items, visit, cancellationToken).ConfigureAwait(false);
            else
                await VisitAsync(0, HalfBits, items, visit, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<ulong>.Shared.Return(items);
        }
    }

    /// <summary>Visits the sectors from <paramref name="start"/> on, in 65,536 stretches of 2 to the power of <paramref name="shift"/>.</summary>
    private async ValueTask VisitAsync(uint start, int shift, ulong[] items, Action<long, long> visit, CancellationToken cancellationToken)
    {
        var counts = await CountAsync(start, shift, cancellationToken).ConfigureAwait(false);
        for (var from = 0; from < Half;)
        {
            var (to, sum) = (from, 0L);
            while (to < Half && sum + counts[to] <= limit)
                sum += counts[to++];
            var first = start + ((uint)from << shift);
            if (sum > 0)
                await CollectAsync(first, first + (uint)(((long)(to - from) << shift) - 1), items, visit, cancellationToken).ConfigureAwait(false);
            else if (to == from && shift > 0)
                await VisitAsync(first, 0, items, visit, cancellationToken).ConfigureAwait(false);
            else if (to == from)
                await EachAsync(first, first, (block, sector) => visit(block, (long)sector * VhdFormat.Sector), cancellationToken).ConfigureAwait(false);
            from = Math.Max(to, from + 1);
        }
    }

    private async ValueTask<int[]> CountAsync(uint start, int shift, CancellationToken cancellationToken)
    {
        var counts = new int[Half];
        await EachAsync(
            start, start + (uint)(((long)Half << shift) - 1), (_, sector) => counts[(sector - start) >> shift]++, cancellationToken).ConfigureAwait(false);
        return counts;
    }

    private async ValueTask CollectAsync(uint first, uint last, ulong[] items, Action<long, long> visit, CancellationToken cancellationToken)
    {
        var count = 0;
        await EachAsync(first, last, (block, sector) => items[count++] = ((ulong)sector << 32) | (uint)block, cancellationToken).ConfigureAwait(false);
        items.AsSpan(0, count).Sort();
        for (var index = 0; index < count; index++)
            visit((uint)items[index], (long)(items[index] >> 32) * VhdFormat.Sector);
    }

    /// <summary>The wanted blocks whose place begins in some sectors, in the order of the disk.</summary>
    private ValueTask EachAsync(uint first, uint last, Action<long, uint> visit, CancellationToken cancellationToken) =>
        entries.ForEachPresentAsync(
            first,
            Math.Min(last, VhdTableEntries.Free - 1),
            (block, sector) =>
            {
                if (isWanted(block, (long)sector * VhdFormat.Sector))
                    visit(block, sector);
            },
            cancellationToken);
}
