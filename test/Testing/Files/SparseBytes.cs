using Godwit.Storage;

namespace Godwit.Testing.Files;

/// <summary>Bytes in pages, with holes, and with copies that share pages until one side writes. Not thread-safe.</summary>
internal sealed class SparseBytes
{
    public const int PageSize = 4096;
    private const int PagesPerRegion = 64;
    private const long RegionSize = (long)PageSize * PagesPerRegion;

    private readonly Dictionary<long, Page?[]> _regions = [];
    private object _owner = new();

    public long Length { get; private set; }

    public long AllocatedBytes { get; private set; }

    public SparseBytes Copy()
    {
        var copy = new SparseBytes { Length = Length, AllocatedBytes = AllocatedBytes };
        foreach (var (index, pages) in _regions)
            copy._regions.Add(index, (Page?[])pages.Clone());

        // Neither side owns the shared pages any more: whoever writes one first gets its own.
        _owner = new object();
        return copy;
    }

    public void Read(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var inPage = (int)(offset % PageSize);
            var part = buffer[..Math.Min(buffer.Length, PageSize - inPage)];
            if (Find(offset)?.Bytes is byte[] bytes)
                bytes.AsSpan(inPage, part.Length).CopyTo(part);
            else
                part.Clear();
            offset += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        Length = Math.Max(Length, offset + buffer.Length);
        while (!buffer.IsEmpty)
        {
            var inPage = (int)(offset % PageSize);
            var part = buffer[..Math.Min(buffer.Length, PageSize - inPage)];
            part.CopyTo(Writable(offset).AsSpan(inPage));
            offset += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    /// <summary>Zeroes a range; whole pages become holes, or reserved ones when <paramref name="keep"/> is set.</summary>
    public void Zero(long offset, long length, bool keep)
    {
        for (var end = offset + length; offset < end;)
        {
            if (!keep && !_regions.ContainsKey(offset / RegionSize))
            {
                offset = Math.Min(end, NextRegion(offset));
                continue;
            }

            var inPage = (int)(offset % PageSize);
            var part = (int)Math.Min(end - offset, PageSize - inPage);
            if (part == PageSize)
                Replace(offset, keep ? new Page(null, _owner) : null);
            else if (Find(offset)?.Bytes is not null)
                Writable(offset).AsSpan(inPage, part).Clear();
            else if (keep)
                Replace(offset, new Page(null, _owner));
            offset += part;
        }
    }

    public void SetLength(long length)
    {
        if (length < Length)
        {
            // The tail of the last page goes too: growing again must read zeroes.
            var end = (Length + PageSize - 1) / PageSize * PageSize;
            Zero(length, end - length, keep: false);
        }

        Length = length;
    }

    public Extent GetExtent(long offset, long length)
    {
        var end = Math.Min(offset + length, Length);
        var kind = KindAt(offset);
        var next = offset;
        do
        {
            next = _regions.ContainsKey(next / RegionSize) ? ((next / PageSize) + 1) * PageSize : NextRegion(next);
        }
        while (next < end && KindAt(next) == kind);
        return new Extent(offset, Math.Min(next, end) - offset, kind);
    }

    /// <summary>Where the next region with pages starts, for an offset in one without. Holes may be many TiB.</summary>
    private long NextRegion(long offset)
    {
        var next = long.MaxValue;
        foreach (var index in _regions.Keys)
        {
            if (index > offset / RegionSize)
                next = Math.Min(next, index);
        }

        return next == long.MaxValue ? next : next * RegionSize;
    }

    private ExtentKind KindAt(long offset) => Find(offset) switch
    {
        null => ExtentKind.Hole,
        { Bytes: null } => ExtentKind.Zero,
        _ => ExtentKind.Data,
    };

    private Page? Find(long offset) =>
        _regions.TryGetValue(offset / RegionSize, out var pages) ? pages[offset % RegionSize / PageSize] : null;

    private byte[] Writable(long offset)
    {
        var page = Find(offset);
        if (page?.Bytes is byte[] own && page.Owner == _owner)
            return own;
        var bytes = page?.Bytes is byte[] shared ? (byte[])shared.Clone() : new byte[PageSize];
        Replace(offset, new Page(bytes, _owner));
        return bytes;
    }

    private void Replace(long offset, Page? page)
    {
        if (!_regions.TryGetValue(offset / RegionSize, out var pages))
        {
            if (page is null)
                return;
            _regions.Add(offset / RegionSize, pages = new Page?[PagesPerRegion]);
        }

        ref var place = ref pages[offset % RegionSize / PageSize];
        AllocatedBytes += ((page is null ? 0 : 1) - (place is null ? 0 : 1)) * PageSize;
        place = page;
    }

    /// <summary>A page with bytes, or without: reserved, reads as zeroes.</summary>
    private sealed record Page(byte[]? Bytes, object Owner);
}
