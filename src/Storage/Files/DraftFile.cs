namespace Godwit.Storage.Files;

/// <summary>A file as it would be with changes that are kept in memory. The file behind is only read and stays the caller's.</summary>
/// <remarks>One request at a time. Changes are kept in pages of 4 KiB, zeroed ranges as ranges; how much there may be is
/// limited, because what to change is read from files that may lie.</remarks>
/// <param name="inner">The file behind.</param>
/// <param name="maxPages">Changed pages there may be.</param>
internal sealed class DraftFile(IStorageFile inner, int maxPages = DraftFile.DefaultPages) : IStorageFile
{
    /// <summary>24 MiB of structures.</summary>
    public const int DefaultPages = 6144;

    private const int PageSize = 4096;
    private readonly Dictionary<long, byte[]> _pages = [];
    private RangeSet _zeroes = new();
    private long[]? _sorted;
    private bool _closed;

    /// <inheritdoc/>
    public string Path => inner.Path;

    /// <inheritdoc/>
    public long Length { get; private set; } = inner.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <summary>Bytes of changed pages in memory.</summary>
    public long BytesInMemory => (long)_pages.Count * PageSize;

    private long[] SortedPages => _sorted ??= [.. _pages.Keys.Order()];

    /// <summary>Forgets all changes.</summary>
    public void Reset()
    {
        _pages.Clear();
        _zeroes = new RangeSet();
        _sorted = null;
        Length = inner.Length;
    }

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        CheckOpen();
        if (offset < 0 || offset > Length - buffer.Length)
            throw new StorageException(StorageErrorKind.Corrupt, $"{buffer.Length} bytes there reach past the end at {Length}", Path, offset, "read");
        var inside = (int)Math.Clamp(inner.Length - offset, 0, buffer.Length);
        if (inside > 0)
            await inner.ReadAsync(offset, buffer[..inside], cancellationToken).ConfigureAwait(false);
        buffer.Span[inside..].Clear();
        var end = offset + buffer.Length;
        for (var zero = _zeroes.NextFrom(offset); zero is FileRange range && range.Start < end; zero = _zeroes.NextFrom(range.End))
        {
            var from = (int)(Math.Max(range.Start, offset) - offset);
            buffer.Span[from..(int)(Math.Min(range.End, end) - offset)].Clear();
        }

        if (_pages.Count > 0)
            CopyPages(offset, buffer.Span);
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        CheckOpen();
        while (!buffer.IsEmpty)
        {
            var inPage = (int)(offset % PageSize);
            var part = buffer[..Math.Min(buffer.Length, PageSize - inPage)];
            var page = await PageAsync(offset / PageSize, cancellationToken).ConfigureAwait(false);
            part.CopyTo(page.AsMemory(inPage));
            Length = Math.Max(Length, offset + part.Length);
            offset += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        CheckOpen();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        CheckOpen();
        if (length < Length)
            await PunchHoleAsync(length, Length - length, cancellationToken).ConfigureAwait(false);
        Length = length;
    }

    /// <inheritdoc/>
    public async ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckInside(offset, length);
        var end = offset + length;
        var first = (offset + PageSize - 1) / PageSize;
        var behind = end >= Length ? (end + PageSize - 1) / PageSize : end / PageSize;
        if (first >= behind)
        {
            await WriteAsync(offset, new byte[length], cancellationToken).ConfigureAwait(false);
            return;
        }

        if (first * PageSize > offset)
            await WriteAsync(offset, new byte[(first * PageSize) - offset], cancellationToken).ConfigureAwait(false);
        if (behind * PageSize < end)
            await WriteAsync(behind * PageSize, new byte[end - (behind * PageSize)], cancellationToken).ConfigureAwait(false);
        foreach (var page in SortedPages)
        {
            if (page >= first && page < behind)
                _pages.Remove(page);
        }

        _sorted = null;
        _zeroes.Add(first * PageSize, (behind - first) * PageSize);
    }

    /// <inheritdoc/>
    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
        PunchHoleAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckInside(offset, length);
        var end = offset + length;
        var page = offset / PageSize;
        if (_pages.ContainsKey(page))
        {
            do
                page++;
            while (page * PageSize < end && _pages.ContainsKey(page));
            return new Extent(offset, Math.Min(page * PageSize, end) - offset, ExtentKind.Data);
        }

        var index = Array.BinarySearch(SortedPages, page);
        if (~index < SortedPages.Length)
            end = Math.Min(end, SortedPages[~index] * PageSize);
        var zero = _zeroes.NextFrom(offset);
        if (zero is FileRange range && range.Start <= offset)
            return new Extent(offset, Math.Min(end, range.End) - offset, ExtentKind.Hole);
        if (offset >= inner.Length)
            return new Extent(offset, end - offset, ExtentKind.Hole);
        end = Math.Min(Math.Min(end, zero?.Start ?? end), inner.Length);
        return await inner.GetExtentAsync(offset, end - offset, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Where the draft differs from the file behind, in order; not what is cut off or added at the end by length alone.</summary>
    public async ValueTask<RangeSet> ChangesAsync(CancellationToken cancellationToken)
    {
        var changes = new RangeSet();
        var was = new byte[PageSize];
        foreach (var page in SortedPages)
        {
            var offset = page * PageSize;
            var length = (int)Math.Min(PageSize, Length - offset);
            var old = (int)Math.Clamp(inner.Length - offset, 0, length);
            if (old > 0)
                await inner.ReadAsync(offset, was.AsMemory(0, old), cancellationToken).ConfigureAwait(false);
            was.AsSpan(old).Clear();
            if (length > 0 && (length > old || !was.AsSpan(0, length).SequenceEqual(_pages[page].AsSpan(0, length))))
                changes.Add(offset, length);
        }

        foreach (var zero in _zeroes.All)
            changes.Add(zero.Start, Math.Min(zero.End, Math.Min(Length, inner.Length)) - zero.Start);
        return changes;
    }

    /// <summary>Takes no more requests. The file behind stays open.</summary>
    public ValueTask DisposeAsync()
    {
        _closed = true;
        return ValueTask.CompletedTask;
    }

    private void CheckOpen()
    {
        if (_closed)
            throw new StorageException(StorageErrorKind.Closed, "the file has been closed", Path);
    }

    private void CheckInside(long offset, long length)
    {
        CheckOpen();
        if (offset < 0 || length < 0 || offset > Length - length)
            throw new StorageException(StorageErrorKind.InvalidRequest, $"{length} bytes there are not inside the file's {Length} bytes", Path, offset, "repair");
    }

    private void CopyPages(long offset, Span<byte> buffer)
    {
        for (var at = offset; at < offset + buffer.Length;)
        {
            var inPage = (int)(at % PageSize);
            var length = (int)Math.Min(PageSize - inPage, offset + buffer.Length - at);
            if (_pages.TryGetValue(at / PageSize, out var page))
                page.AsSpan(inPage, length).CopyTo(buffer[(int)(at - offset)..]);
            at += length;
        }
    }

    private async ValueTask<byte[]> PageAsync(long number, CancellationToken cancellationToken)
    {
        if (_pages.TryGetValue(number, out var page))
            return page;
        if (_pages.Count >= maxPages)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"more than {(long)maxPages * PageSize} bytes of structures would have to be changed, which this version does not do",
                Path, number * PageSize, "repair");
        }

        page = new byte[PageSize];
        var length = (int)Math.Clamp(Length - (number * PageSize), 0, PageSize);
        if (length > 0)
            await ReadAsync(number * PageSize, page.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        _pages.Add(number, page);
        _sorted = null;
        return page;
    }
}
