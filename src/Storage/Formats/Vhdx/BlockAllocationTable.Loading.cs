using System.Buffers;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <content>How pages come into memory.</content>
internal sealed partial class BlockAllocationTable
{
    // A table with more data than this, or in more pieces, is read page by page: the open stays quick.
    private const long MaxBytesAtOpen = 4 * VhdxFormat.MiB;
    private const int MaxRunsAtOpen = 1024;

    // Pages read at once by who goes through the table in order.
    private const int PagesAhead = 16;

    private delegate void PageVisitor(long number, ReadOnlySpan<byte> bytes);

    /// <summary>Opens the table. Reads all of it when there is not much in it; holes of the file count for nothing.</summary>
    /// <param name="file">The file; the table reads from it as long as it is used.</param>
    /// <param name="region">Where it is.</param>
    /// <param name="geometry">The disk.</param>
    /// <param name="capacity">Pages to keep in memory; fewer make a test of what is otherwise rare.</param>
    /// <param name="left">A log whose pages count instead of the file's; null for none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">Corrupt: the region is too small for the disk.</exception>
    public static async ValueTask<BlockAllocationTable> OpenAsync(
        IStorageFile file, VhdxRegion region, VhdxGeometry geometry, int capacity, VhdxLogLeft? left, CancellationToken cancellationToken)
    {
        if (region.Length / sizeof(ulong) < geometry.EntryCount)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"the block allocation table has room for {region.Length / sizeof(ulong)} entries, the disk needs {geometry.EntryCount}",
                file.Path, region.Offset, "open");
        }

        var limit = Math.Min(MaxBytesAtOpen, (long)capacity * VhdxFormat.PageSize);
        var length = PagesFor(geometry) * VhdxFormat.PageSize;
        var isSmall = await HasAtMostAsync(file, region.Offset, length, limit, cancellationToken).ConfigureAwait(false);
        var table = new BlockAllocationTable(file, geometry, region.Offset, capacity) { WasReadWhole = isSmall };
        table.Restore(left);
        if (isSmall)
        {
            await table.ForEachDataPageAsync(0, table._pages.Length, table.TakeUnchecked, cancellationToken).ConfigureAwait(false);
            foreach (ref var slot in table._pages.AsSpan())
                slot ??= BatPage.Empty;
        }

        return table;
    }

    /// <summary>Examines every page when it is first loaded, because nobody has examined the whole table.</summary>
    /// <param name="claims">Who owns what, as far as known; the table's from now on.</param>
    /// <exception cref="StorageException">Corrupt: something on a page that is in memory cannot be.</exception>
    public void Watch(FileClaims claims)
    {
        _sentry = new BatSentry(claims);
        foreach (var page in _pages)
        {
            if (page is not null && ProblemOf(page) is StorageException problem)
                throw problem;
        }
    }

    /// <summary>Calls back for every entry that is not all zero. What is not in memory is read and not kept.</summary>
    public async ValueTask ForEachUsedAsync(Action<long, BatEntry> visit, CancellationToken cancellationToken)
    {
        for (long number = 0; number < _pages.Length;)
        {
            if (_pages[number] is BatPage page)
            {
                Visit(page, number++, visit);
                continue;
            }

            var end = number + 1;
            while (end < _pages.Length && _pages[end] is null)
                end++;
            await ForEachDataPageAsync(
                number, end, (at, bytes) => Visit(BatPage.Parse(at, bytes), at, visit), cancellationToken).ConfigureAwait(false);
            number = end;
        }
    }

    private static async ValueTask<bool> HasAtMostAsync(
        IStorageFile file, long start, long length, long limit, CancellationToken cancellationToken)
    {
        var runs = 0;
        for (long at = 0; at < length && limit >= 0 && runs < MaxRunsAtOpen; runs++)
        {
            var run = await file.GetExtentAsync(start + at, length - at, cancellationToken).ConfigureAwait(false);
            limit -= run.ReadsAsZeroes ? 0 : run.Length;
            at += run.Length;
        }

        return limit >= 0 && runs < MaxRunsAtOpen;
    }

    private void Visit(BatPage page, long number, Action<long, BatEntry> visit)
    {
        if (page == BatPage.Empty)
            return;
        var first = number << BatPage.Shift;
        var count = Math.Min(BatPage.EntryCount, _geometry.EntryCount - first);
        for (var index = 0; index < count; index++)
        {
            if (page[index].Raw != 0)
                visit(first + index, page[index]);
        }
    }

    /// <summary>Reads pages from the file, in order, except where it has holes.</summary>
    private async ValueTask ForEachDataPageAsync(long from, long to, PageVisitor visit, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(PagesAhead * VhdxFormat.PageSize);
        try
        {
            for (var number = from; number < to;)
            {
                var run = await _file.GetExtentAsync(
                    OffsetOfPage(number), (to - number) * VhdxFormat.PageSize, cancellationToken).ConfigureAwait(false);

                // An extent may end inside a page: a page with any data is data.
                var end = number + (run.Length / VhdxFormat.PageSize);
                if (!run.ReadsAsZeroes || end == number)
                {
                    end = number + Math.Min(PagesAhead, (run.Length + VhdxFormat.PageSize - 1) / VhdxFormat.PageSize);
                    var bytes = buffer.AsMemory(0, (int)(end - number) * VhdxFormat.PageSize);
                    await _file.ReadAsync(OffsetOfPage(number), bytes, cancellationToken).ConfigureAwait(false);
                    for (var at = number; at < end; at++)
                        visit(at, bytes.Span.Slice((int)(at - number) * VhdxFormat.PageSize, VhdxFormat.PageSize));
                }

                number = end;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void TakeUnchecked(long number, ReadOnlySpan<byte> bytes)
    {
        if (_pages[number] is null && bytes.ContainsAnyExcept((byte)0))
            Keep(number, BatPage.Parse(number, bytes));
    }

    /// <summary>Takes pages as a log has them: the file has them only when the log is applied.</summary>
    private void Restore(VhdxLogLeft? left)
    {
        foreach (var (offset, page) in left?.Pages ?? new Dictionary<long, VhdxLogLeft.Page>())
        {
            var number = (offset - _regionOffset) / VhdxFormat.PageSize;
            if (offset < _regionOffset || number >= _pages.Length)
                continue;
            var logged = BatPage.Parse(number, page.Image);
            logged.LoggedIn = left!.Sequence;
            Keep(number, logged);
        }
    }

    /// <summary>A page, read with some that follow it when it is not in memory.</summary>
    private async ValueTask<BatPage> LoadPageAsync(long number, int count, CancellationToken cancellationToken, ulong? pinFor = null)
    {
        count = (int)Math.Min(count, Volatile.Read(ref _pages).Length - number);
        var buffer = ArrayPool<byte>.Shared.Rent(count * VhdxFormat.PageSize);
        try
        {
            while (true)
            {
                if (pinFor is null && Volatile.Read(ref _pages[number]) is BatPage present)
                    return present;

                // A page that was changed and applied and has left since this moment would be older in the buffer than in the file.
                var applied = Volatile.Read(ref _appliedThrough);
                var bytes = buffer.AsMemory(0, count * VhdxFormat.PageSize);
                await _file.ReadAsync(OffsetOfPage(number), bytes, cancellationToken).ConfigureAwait(false);
                var empty = bytes.Span.ContainsAnyExcept((byte)0)
                    ? 0
                    : await EmptyPagesAsync(number, count, cancellationToken).ConfigureAwait(false);
                lock (_gate)
                {
                    if (applied == _appliedThrough)
                        return Take(number, bytes.Span, empty, pinFor);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>How many pages are zero, given that the first few are: a hole of the file tells of many at once.</summary>
    private async ValueTask<long> EmptyPagesAsync(long number, int known, CancellationToken cancellationToken)
    {
        var run = await _file.GetExtentAsync(
            OffsetOfPage(number), (_pages.Length - number) * VhdxFormat.PageSize, cancellationToken).ConfigureAwait(false);
        return run.ReadsAsZeroes ? Math.Max(known, run.Length / VhdxFormat.PageSize) : known;
    }

    /// <summary>Takes pages into memory where there are none yet, and answers the first. Called under the gate.</summary>
    private BatPage Take(long first, ReadOnlySpan<byte> bytes, long empty, ulong? pinFor)
    {
        for (var number = first; number < first + empty; number++)
            _pages[number] ??= BatPage.Empty;
        if (_pages[first] is BatPage present)
        {
            if (pinFor is ulong sequence)
                Pin(first, present, sequence);
            return present;
        }

        var wanted = Parse(first, bytes);
        if (ProblemOf(wanted) is StorageException problem)
            throw problem;
        if (pinFor is ulong logged)
            wanted.LoggedIn = logged;
        Keep(first, wanted);
        for (var number = first + 1; number < first + (bytes.Length / VhdxFormat.PageSize); number++)
        {
            // Damage on a page nobody asked for is told to who asks.
            var page = Parse(number, bytes[((int)(number - first) * VhdxFormat.PageSize)..]);
            if (_pages[number] is null && ProblemOf(page) is null)
                Keep(number, page);
        }

        return wanted;
    }

    private static BatPage Parse(long number, ReadOnlySpan<byte> bytes) =>
        bytes[..VhdxFormat.PageSize].ContainsAnyExcept((byte)0) ? BatPage.Parse(number, bytes) : BatPage.Empty;

    private StorageException? ProblemOf(BatPage page)
    {
        long? at = null;
        string? problem = null;

        // Bitmaps of a disk with a parent have fewer states than blocks.
        var isHarmless = page.IsBlank && !_geometry.HasParent;
        Visit(isHarmless ? BatPage.Empty : page, page.Number, (index, entry) =>
        {
            problem ??= BatEntryRules.ProblemOf(_geometry, index, entry, _file.Length);
            at ??= problem is null ? null : index;
        });
        problem ??= page == BatPage.Empty ? null : _sentry?.Admit(_geometry, page, out at);
        return problem is null
            ? null
            : new StorageException(StorageErrorKind.Corrupt, problem, _file.Path, _regionOffset + (at * sizeof(ulong)), "read the block allocation table");
    }

    /// <summary>Puts a page in its slot and lets others go for it.</summary>
    private void Keep(long number, BatPage page)
    {
        Volatile.Write(ref _pages[number], page);
        if (page != BatPage.Empty)
            _clock.Add(page);
        while (_clock.TakeSurplus(_appliedThrough) is BatPage surplus)
            Volatile.Write(ref _pages[surplus.Number], null);
    }
}
