using Godwit.Storage.FileSystems;

namespace Godwit.Storage.Operations;

/// <summary>Finds runs of pages that are zero or free in what a disk's file has data for.</summary>
/// <remarks>Works on pieces of 1 MiB: memory is bounded, and what is found is given back before the next piece is read.</remarks>
/// <param name="device">The disk.</param>
/// <param name="free">What its file systems call free; null when nothing is to be taken for free.</param>
internal sealed class PageScan(BlockDevice device, DiskFreeSpace? free)
{
    /// <summary>Runs shorter than this are not worth a hole of their own.</summary>
    public const int MinRun = 64 << 10;

    private const int Page = 4096;
    private readonly byte[] _buffer = new byte[1 << 20];
    private readonly PageUse[] _pages = new PageUse[(1 << 20) / Page];

    private enum PageUse : byte
    {
        Used,
        Zero,
        Unused,
    }

    /// <summary>Looks at a range.</summary>
    /// <param name="start">First byte; of whole sectors.</param>
    /// <param name="end">Where to stop.</param>
    /// <param name="found">Gets each run.</param>
    /// <param name="cancellationToken">Gives up between pieces.</param>
    public async ValueTask RunAsync(long start, long end, Func<PageRun, ValueTask> found, CancellationToken cancellationToken)
    {
        for (var at = start; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var extent = await device.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);

            // A layer below is nothing this file could give back.
            if (extent.ReadsAsZeroes || extent.Layer > 0)
            {
                at = extent.End;
                continue;
            }

            // Pieces end at whole MiB and begin with pages, so that runs do.
            var first = Math.Min(extent.End, (at + Page - 1) & -Page);
            var stop = Math.Min(extent.End, (first + _buffer.Length) & -_buffer.Length);
            if (stop > first)
                await LookAtAsync(first, (int)(stop - first), found, cancellationToken).ConfigureAwait(false);
            at = stop;
        }
    }

    private async ValueTask LookAtAsync(long offset, int length, Func<PageRun, ValueTask> found, CancellationToken cancellationToken)
    {
        await device.ReadAsync(offset, _buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        var count = length / Page;
        for (var page = 0; page < count; page++)
        {
            var isZero = !_buffer.AsSpan(page * Page, Page).ContainsAnyExcept((byte)0);
            _pages[page] = isZero ? PageUse.Zero : PageUse.Used;
        }

        await MarkFreeAsync(offset, count, cancellationToken).ConfigureAwait(false);
        for (var page = 0; page < count; page++)
        {
            var first = page;
            while (page < count && _pages[page] != PageUse.Used)
                page++;
            if ((page - first) * Page >= MinRun)
                await found(RunOf(offset, first, page)).ConfigureAwait(false);
        }
    }

    private PageRun RunOf(long offset, int first, int end)
    {
        var unused = _pages.AsSpan(first, end - first).Count(PageUse.Unused) * (long)Page;
        return new PageRun(offset + (first * (long)Page), (end - first) * (long)Page, unused);
    }

    private async ValueTask MarkFreeAsync(long offset, int count, CancellationToken cancellationToken)
    {
        var end = offset + (count * (long)Page);
        for (var at = offset; at < end && free is not null;)
        {
            var run = await free.NextAsync(at, end, cancellationToken).ConfigureAwait(false);

            // Neighbouring pieces of a run are joined, or a page on their border would count as used.
            for (var next = run; next.Length > 0 && run.End < end; run = new FreeRun(run.Start, next.End - run.Start))
            {
                next = await free.NextAsync(run.End, end, cancellationToken).ConfigureAwait(false);
                if (next.Start != run.End || next.Length == 0)
                    break;
            }

            at = run.End;
            var stop = (run.End - offset) / Page;
            for (var page = (run.Start - offset + Page - 1) / Page; page < stop; page++)
                _pages[page] = _pages[page] == PageUse.Used ? PageUse.Unused : _pages[page];
        }
    }
}

/// <summary>Neighbouring pages that are zero or free.</summary>
/// <param name="Start">First byte of the disk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Unused">How many of them are not zero but free.</param>
internal readonly record struct PageRun(long Start, long Length, long Unused);
