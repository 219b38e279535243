using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Compacts a disk whose every byte has its place in the file: the host gets the space of zeroes and of free ranges back.</summary>
internal sealed class RangeCompaction(BlockDevice device, IPunchableDisk disk, DiskFreeSpace? free, bool dryRun, Action<OperationProgress> progress)
{
    private readonly CompactTally _tally = new();
    private readonly byte[] _buffer = new byte[1 << 20];
    private bool _identityChanged;
    private readonly PageUse[] _pages = new PageUse[(1 << 20) / FreeRanges.Page];

    private enum PageUse : byte
    {
        Used,
        Zero,
        Unused,
    }

    /// <summary>Does it, or only counts.</summary>
    /// <exception cref="StorageException">The image failed; another run goes on.</exception>
    public async ValueTask<CompactTally> RunAsync(CancellationToken cancellationToken)
    {
        for (long at = 0; at < device.Length;)
        {
            progress(new OperationProgress("Scanning", at, device.Length));
            cancellationToken.ThrowIfCancellationRequested();
            var extent = await device.GetExtentAsync(at, device.Length - at, cancellationToken).ConfigureAwait(false);
            if (extent.ReadsAsZeroes)
            {
                at = extent.End;
                continue;
            }

            // Pieces end at whole MiB, so that runs begin and end with pages.
            var part = Math.Min(extent.Length, _buffer.Length - (at % _buffer.Length));
            await LookAtAsync(at, (int)part, cancellationToken).ConfigureAwait(false);
            at += part;
        }

        if (!dryRun)
            await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        progress(new OperationProgress("Scanning", device.Length, device.Length));
        return _tally;
    }

    private async ValueTask LookAtAsync(long offset, int length, CancellationToken cancellationToken)
    {
        await device.ReadAsync(offset, _buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        var count = length / FreeRanges.Page;
        for (var page = 0; page < count; page++)
        {
            var isZero = !_buffer.AsSpan(page * FreeRanges.Page, FreeRanges.Page).ContainsAnyExcept((byte)0);
            _pages[page] = isZero ? PageUse.Zero : PageUse.Used;
        }

        await MarkFreeAsync(offset, count, cancellationToken).ConfigureAwait(false);
        for (var page = 0; page < count; page++)
        {
            var first = page;
            while (page < count && _pages[page] != PageUse.Used)
                page++;
            if ((page - first) * FreeRanges.Page >= FreeRanges.MinRun)
                await PunchAsync(offset, first, page, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask MarkFreeAsync(long offset, int count, CancellationToken cancellationToken)
    {
        var end = offset + (count * (long)FreeRanges.Page);
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
            var stop = (run.End - offset) / FreeRanges.Page;
            for (var page = (run.Start - offset + FreeRanges.Page - 1) / FreeRanges.Page; page < stop; page++)
                _pages[page] = _pages[page] == PageUse.Used ? PageUse.Unused : _pages[page];
        }
    }

    private async ValueTask PunchAsync(long offset, int first, int end, CancellationToken cancellationToken)
    {
        for (var page = first; page < end; page++)
        {
            if (_pages[page] == PageUse.Zero)
                _tally.Zero += FreeRanges.Page;
            else
                _tally.Unused += FreeRanges.Page;
        }

        if (!dryRun)
        {
            // Children record what the base of a chain holds; zeroes that become a hole change nothing.
            if (!_identityChanged && _pages.AsSpan(first, end - first).Contains(PageUse.Unused) && device is IPackedDisk identified)
            {
                await identified.ChangeIdentityAsync().ConfigureAwait(false);
                _identityChanged = true;
            }

            await disk.PunchAsync(
                offset + (first * (long)FreeRanges.Page), (end - first) * (long)FreeRanges.Page, cancellationToken).ConfigureAwait(false);
        }
    }
}
