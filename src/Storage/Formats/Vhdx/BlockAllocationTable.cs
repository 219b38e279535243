using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The block allocation table in memory, in pages like those of the log; pages without an entry cost nothing.</summary>
/// <remarks>
/// Any thread may read at any time without a lock. One writer at a time: the holder of the log.
/// </remarks>
internal sealed class BlockAllocationTable
{
    public const int EntriesPerPage = VhdxFormat.PageSize / sizeof(ulong);
    private const int PageShift = 9;

    private readonly long _regionOffset;
    private ulong[]?[] _pages;
    private VhdxGeometry _geometry;
    private long _unmapCount;

    public BlockAllocationTable(VhdxGeometry geometry, long regionOffset)
    {
        _geometry = geometry;
        _regionOffset = regionOffset;
        _pages = new ulong[]?[PagesFor(geometry)];
    }

    public VhdxGeometry Geometry => Volatile.Read(ref _geometry);

    /// <summary>Counts blocks that lost their place. A reader that sees the same number before and after reading a block's
    /// bytes knows that the place was the block's own all the time.</summary>
    public long UnmapCount => Volatile.Read(ref _unmapCount);

    public BatEntry this[long block] => Entry(_geometry.EntryOf(block));

    /// <summary>Reads the table. Holes of the file are not read, so an empty table of a huge disk is quick.</summary>
    /// <exception cref="StorageException">Corrupt: the region is too small for the disk.</exception>
    public static async ValueTask<BlockAllocationTable> LoadAsync(
        IStorageFile file, VhdxRegion region, VhdxGeometry geometry, CancellationToken cancellationToken)
    {
        if (region.Length / sizeof(ulong) < geometry.EntryCount)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"the block allocation table has room for {region.Length / sizeof(ulong)} entries, the disk needs {geometry.EntryCount}",
                file.Path, region.Offset, "open");
        }

        var table = new BlockAllocationTable(geometry, region.Offset);
        await table.LoadAsync(file, 0, cancellationToken).ConfigureAwait(false);
        return table;
    }

    public BatEntry Entry(long index)
    {
        var page = Volatile.Read(ref Volatile.Read(ref _pages)[index >> PageShift]);
        return page is null ? default : new BatEntry(Volatile.Read(ref page[index & (EntriesPerPage - 1)]));
    }

    /// <summary>The first block from <paramref name="block"/> on that is present, or <paramref name="end"/>.</summary>
    public long NextPresent(long block, long end)
    {
        var geometry = _geometry;
        while (block < end)
        {
            var index = geometry.EntryOf(block);
            if (Volatile.Read(ref _pages[index >> PageShift]) is null)
            {
                // The next page starts with a payload entry or with a bitmap entry, whose payload neighbour follows.
                var next = ((index >> PageShift) + 1) << PageShift;
                block = geometry.BlockOf(geometry.IsBitmapEntry(next) ? next + 1 : next);
                continue;
            }

            if (Entry(index).IsPresent)
                return block;
            block++;
        }

        return end;
    }

    /// <summary>Where in the file the page with a block's entry is.</summary>
    public long PageOffsetOf(long block) => _regionOffset + ((_geometry.EntryOf(block) >> PageShift) * VhdxFormat.PageSize);

    /// <summary>Writes a page as it is now, in the file's form.</summary>
    public void CopyPage(long pageOffset, Span<byte> destination)
    {
        var page = _pages[(pageOffset - _regionOffset) / VhdxFormat.PageSize];
        if (page is null)
        {
            destination.Clear();
            return;
        }

        for (var index = 0; index < EntriesPerPage; index++)
            BinaryPrimitives.WriteUInt64LittleEndian(destination[(index * sizeof(ulong))..], page[index]);
    }

    /// <summary>Writes a block's new entry into a copy of its page.</summary>
    public void Patch(long block, BatEntry entry, Span<byte> pageCopy) =>
        BinaryPrimitives.WriteUInt64LittleEndian(
            pageCopy[((int)(_geometry.EntryOf(block) & (EntriesPerPage - 1)) * sizeof(ulong))..], entry.Raw);

    /// <summary>Shows a block's new entry to everybody; its page is in the log by now.</summary>
    public void Publish(long block, BatEntry entry)
    {
        var index = _geometry.EntryOf(block);
        ref var slot = ref _pages[index >> PageShift];
        if (slot is null)
            Volatile.Write(ref slot, new ulong[EntriesPerPage]);
        ref var place = ref slot![index & (EntriesPerPage - 1)];
        var unmaps = new BatEntry(place).IsPresent;
        Volatile.Write(ref place, entry.Raw);
        if (unmaps)
            Interlocked.Increment(ref _unmapCount);
    }

    /// <summary>Whether the file has nothing in the entries a bigger disk would use.</summary>
    public async ValueTask<bool> TryPrepareGrowthAsync(IStorageFile file, VhdxGeometry grown, CancellationToken cancellationToken)
    {
        var old = _geometry;
        for (var index = old.EntryCount; index < Math.Min(grown.EntryCount, (long)_pages.Length << PageShift); index++)
        {
            if (Entry(index).Raw != 0)
                return false;
        }

        var behind = new BlockAllocationTable(grown, _regionOffset);
        var from = (long)_pages.Length * VhdxFormat.PageSize;
        await behind.LoadAsync(file, from, cancellationToken).ConfigureAwait(false);
        return behind._pages.AsSpan().IndexOfAnyExcept((ulong[]?)null) < 0;
    }

    /// <summary>Makes room for a bigger disk; the new blocks are not present.</summary>
    public void Grow(VhdxGeometry geometry)
    {
        var pages = new ulong[]?[PagesFor(geometry)];
        _pages.CopyTo(pages, 0);
        Volatile.Write(ref _pages, pages);
        Volatile.Write(ref _geometry, geometry);
    }

    /// <summary>Calls back for every entry that is not all zero.</summary>
    public void ForEachUsed(Action<long, BatEntry> visit)
    {
        for (long page = 0; page < _pages.Length; page++)
        {
            if (_pages[page] is not ulong[] entries)
                continue;
            for (var index = 0; index < EntriesPerPage; index++)
            {
                var entry = (page << PageShift) + index;
                if (entries[index] != 0 && entry < _geometry.EntryCount)
                    visit(entry, new BatEntry(entries[index]));
            }
        }
    }

    private static long PagesFor(VhdxGeometry geometry) => (geometry.EntryCount + EntriesPerPage - 1) >> PageShift;

    private async ValueTask LoadAsync(IStorageFile file, long from, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 << 10];
        var end = (long)_pages.Length * VhdxFormat.PageSize;
        for (var at = from; at < end;)
        {
            var run = await file.GetExtentAsync(_regionOffset + at, end - at, cancellationToken).ConfigureAwait(false);
            var runEnd = at + run.Length;
            if (!run.ReadsAsZeroes)
                await LoadRunAsync(file, at, runEnd, buffer, cancellationToken).ConfigureAwait(false);
            at = runEnd;
        }
    }

    private async ValueTask LoadRunAsync(IStorageFile file, long from, long to, byte[] buffer, CancellationToken cancellationToken)
    {
        // An extent may end inside a page: take whole pages, and never mind reading a neighbour twice.
        from = VhdxFormat.AlignDown(from, VhdxFormat.PageSize);
        to = VhdxFormat.AlignUp(to, VhdxFormat.PageSize);
        for (var at = from; at < to; at += buffer.Length)
        {
            var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, to - at));
            await file.ReadAsync(_regionOffset + at, part, cancellationToken).ConfigureAwait(false);
            for (var inPart = 0; inPart < part.Length; inPart += VhdxFormat.PageSize)
                LoadPage((at + inPart) / VhdxFormat.PageSize, part.Span.Slice(inPart, VhdxFormat.PageSize));
        }
    }

    private void LoadPage(long page, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.ContainsAnyExcept((byte)0))
            return;
        var entries = new ulong[EntriesPerPage];
        for (var index = 0; index < entries.Length; index++)
            entries[index] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(index * sizeof(ulong))..]);
        _pages[page] = entries;
    }
}
