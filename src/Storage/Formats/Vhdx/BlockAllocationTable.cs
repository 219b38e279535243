using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The block allocation table, in pages like those of the log. Pages are read when needed and leave memory again.</summary>
/// <remarks>
/// <para>Any thread may read at any time without a lock. One writer at a time: the holder of the log. A page that the log
/// has changed stays in memory until the log is applied; every other page can be read from the file again.</para>
/// <para>A reader may hold on to a page that has left memory meanwhile. What it reads there is what stood there when it
/// began, and <see cref="UnmapCount"/> tells it when that is not good enough.</para>
/// </remarks>
internal sealed partial class BlockAllocationTable
{
    /// <summary>Pages kept in memory unless told otherwise: 8 MiB, which serve 1 TiB of 1 MiB blocks.</summary>
    public const int DefaultCapacity = 2048;

    private readonly IStorageFile _file;
    private readonly long _regionOffset;
    private readonly Lock _gate = new();
    private readonly BatClock _clock;
    private BatPage?[] _pages;
    private VhdxGeometry _geometry;
    private BatSentry? _sentry;
    private ulong _appliedThrough;
    private long _unmapCount;
    private bool _pagesLeave;

    private BlockAllocationTable(IStorageFile file, VhdxGeometry geometry, long regionOffset, int capacity)
    {
        _file = file;
        _geometry = geometry;
        _regionOffset = regionOffset;
        _clock = new BatClock(capacity);
        _pages = new BatPage?[PagesFor(geometry)];
        _pagesLeave = _pages.Length > capacity;
    }

    public VhdxGeometry Geometry => Volatile.Read(ref _geometry);

    /// <summary>All of the table was read at open. What is not, is examined page by page when it is.</summary>
    public bool WasReadWhole { get; private init; }

    /// <summary>Pages in memory that hold something.</summary>
    public int PagesInMemory
    {
        get
        {
            lock (_gate)
                return _clock.Count;
        }
    }

    /// <summary>Counts blocks that lost their place. A reader that sees the same number before and after reading a block's
    /// bytes knows that the place was the block's own all the time.</summary>
    public long UnmapCount => Volatile.Read(ref _unmapCount);

    /// <summary>A block's entry when its page is in memory. Never waits, allocates nothing.</summary>
    public bool TryGet(long block, out BatEntry entry)
    {
        var index = Geometry.EntryOf(block);
        var page = Volatile.Read(ref Volatile.Read(ref _pages)[index >> BatPage.Shift]);
        if (page is null)
        {
            entry = default;
            return false;
        }

        if (_pagesLeave && !page.WasUsed)
            page.WasUsed = true;
        entry = page[index & (BatPage.EntryCount - 1)];
        return true;
    }

    /// <summary>A block's entry. Completes synchronously when its page is in memory.</summary>
    /// <exception cref="StorageException">Corrupt: something on the page cannot be; or the file failed.</exception>
    public ValueTask<BatEntry> GetAsync(long block, CancellationToken cancellationToken)
    {
        return TryGet(block, out var entry) ? new ValueTask<BatEntry>(entry) : GetEntryAsync(Geometry.EntryOf(block), cancellationToken);
    }

    /// <summary>Any entry, of a block or a sector bitmap.</summary>
    /// <exception cref="StorageException">As for <see cref="GetAsync"/>.</exception>
    public async ValueTask<BatEntry> GetEntryAsync(long index, CancellationToken cancellationToken)
    {
        var page = await LoadPageAsync(index >> BatPage.Shift, 1, cancellationToken).ConfigureAwait(false);
        return page[index & (BatPage.EntryCount - 1)];
    }

    /// <summary>The first block from <paramref name="block"/> on that is present, or <paramref name="end"/>.</summary>
    /// <exception cref="StorageException">As for <see cref="GetAsync"/>.</exception>
    public async ValueTask<long> NextPresentAsync(long block, long end, CancellationToken cancellationToken)
    {
        var geometry = Geometry;
        while (block < end)
        {
            var index = geometry.EntryOf(block);
            var number = index >> BatPage.Shift;
            var page = Volatile.Read(ref Volatile.Read(ref _pages)[number])
                ?? await LoadPageAsync(number, PagesAhead, cancellationToken).ConfigureAwait(false);

            // The next page starts with a payload entry or with a bitmap entry, whose payload neighbour follows.
            var next = (number + 1) << BatPage.Shift;
            var behind = Math.Min(end, geometry.BlockOf(geometry.IsBitmapEntry(next) ? next + 1 : next));
            for (; block < behind && !page.IsBlank; block++)
            {
                if (page[geometry.EntryOf(block) & (BatPage.EntryCount - 1)].IsPresent)
                    return block;
            }

            block = behind;
        }

        return end;
    }

    /// <summary>Where in the file the page with an entry is.</summary>
    public long PageOffsetOf(long index) => OffsetOfPage(index >> BatPage.Shift);

    /// <summary>Brings an entry's page into memory and keeps it there until the log entry that will hold it is applied.</summary>
    /// <param name="index">The entry.</param>
    /// <param name="sequence">That log entry.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for <see cref="GetAsync"/>.</exception>
    public async ValueTask PinAsync(long index, ulong sequence, CancellationToken cancellationToken)
    {
        var number = index >> BatPage.Shift;
        if (!TryPin(number, sequence))
            await LoadPageAsync(number, 1, cancellationToken, sequence).ConfigureAwait(false);
    }

    /// <summary>Writes a pinned page as it is now, in the file's form.</summary>
    public void CopyPage(long pageOffset, Span<byte> destination) =>
        _pages[(pageOffset - _regionOffset) / VhdxFormat.PageSize]!.CopyTo(destination);

    /// <summary>Writes a new entry into a copy of its page.</summary>
    public static void Patch(long index, BatEntry entry, Span<byte> pageCopy) =>
        BinaryPrimitives.WriteUInt64LittleEndian(pageCopy[((int)(index & (BatPage.EntryCount - 1)) * sizeof(ulong))..], entry.Raw);

    /// <summary>Shows a new entry to everybody; its page is pinned and in the log by now.</summary>
    public void Publish(long index, BatEntry entry)
    {
        BatEntry old;
        lock (_gate)
        {
            var page = _pages[index >> BatPage.Shift]!;
            old = page[index & (BatPage.EntryCount - 1)];
            page[index & (BatPage.EntryCount - 1)] = entry;
            _sentry?.Replace(_geometry, index, old, entry);
        }

        if (old.IsPresent && !(entry.IsPresent && entry.Offset == old.Offset))
            Interlocked.Increment(ref _unmapCount);
    }

    /// <summary>The pages that this log entry and all before it hold are in their places in the file.</summary>
    public void MarkApplied(ulong sequence) => Volatile.Write(ref _appliedThrough, sequence);

    /// <summary>Whether the file has nothing in the entries a bigger disk would use.</summary>
    public async ValueTask<bool> TryPrepareGrowthAsync(IStorageFile file, VhdxGeometry grown, CancellationToken cancellationToken)
    {
        var old = _geometry;
        for (var index = old.EntryOf(old.BlockCount - 1) + 1; index < Math.Min(grown.EntryCount, (long)_pages.Length << BatPage.Shift); index++)
        {
            // The last chunk of a differencing disk has its bitmap already.
            var isBitmapInUse = old.HasParent && index < old.EntryCount && old.IsBitmapEntry(index);
            if (!isBitmapInUse && (await GetEntryAsync(index, cancellationToken).ConfigureAwait(false)).Raw != 0)
                return false;
        }

        var clean = true;
        await ForEachDataPageAsync(
            _pages.Length, PagesFor(grown), (_, bytes) => clean &= !bytes.ContainsAnyExcept((byte)0), cancellationToken).ConfigureAwait(false);
        return clean;
    }

    /// <summary>Makes room for a bigger disk; the new blocks are not present.</summary>
    public void Grow(VhdxGeometry geometry)
    {
        lock (_gate)
        {
            var pages = new BatPage?[PagesFor(geometry)];
            _pages.CopyTo(pages, 0);
            pages.AsSpan(_pages.Length).Fill(BatPage.Empty);
            _pagesLeave = pages.Length > _clock.Capacity;
            Volatile.Write(ref _pages, pages);
            Volatile.Write(ref _geometry, geometry);
        }
    }

    private static long PagesFor(VhdxGeometry geometry) => (geometry.EntryCount + BatPage.EntryCount - 1) >> BatPage.Shift;

    private long OffsetOfPage(long number) => _regionOffset + (number * VhdxFormat.PageSize);

    private bool TryPin(long number, ulong sequence)
    {
        lock (_gate)
        {
            if (_pages[number] is not BatPage page)
                return false;
            Pin(number, page, sequence);
            return true;
        }
    }

    /// <summary>Called under the gate.</summary>
    private void Pin(long number, BatPage page, ulong sequence)
    {
        if (page != BatPage.Empty)
        {
            page.LoggedIn = sequence;
            return;
        }

        page = new BatPage(number) { LoggedIn = sequence };
        _sentry?.Admit(_geometry, page, out _);
        Keep(number, page);
    }
}
