namespace Godwit.Storage.Files;

/// <summary>Bytes of a file, as ranges that never touch, in order. Not thread-safe.</summary>
internal sealed class RangeSet
{
    private readonly List<FileRange> _ranges = [];

    /// <summary>The ranges, in order.</summary>
    public IReadOnlyList<FileRange> All => _ranges;

    /// <summary>Takes bytes in.</summary>
    public void Add(long start, long length)
    {
        if (length <= 0)
            return;
        var end = start + length;
        var first = FirstEndingAtOrAfter(start);
        var behind = first;
        for (; behind < _ranges.Count && _ranges[behind].Start <= end; behind++)
        {
            start = Math.Min(start, _ranges[behind].Start);
            end = Math.Max(end, _ranges[behind].End);
        }

        _ranges.RemoveRange(first, behind - first);
        _ranges.Insert(first, new FileRange(start, end - start));
    }

    /// <summary>The first range that ends behind an offset, or null.</summary>
    public FileRange? NextFrom(long offset)
    {
        var index = FirstEndingAtOrAfter(offset + 1);
        return index < _ranges.Count ? _ranges[index] : null;
    }

    /// <summary>The parts of a range that are not in the set, in order.</summary>
    public List<FileRange> Missing(long start, long length)
    {
        var missing = new List<FileRange>();
        var end = start + length;
        while (start < end)
        {
            var next = NextFrom(start);
            var stop = Math.Min(next?.Start ?? end, end);
            if (stop > start)
                missing.Add(new FileRange(start, stop - start));
            start = Math.Max(stop, next?.End ?? end);
        }

        return missing;
    }

    private int FirstEndingAtOrAfter(long offset)
    {
        int low = 0, high = _ranges.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_ranges[middle].End < offset)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
