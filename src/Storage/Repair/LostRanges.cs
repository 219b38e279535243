namespace Godwit.Storage.Repair;

/// <summary>Collects guest ranges in rising order and joins neighbours. Bounded: of a very long list only the bytes are counted.</summary>
internal sealed class LostRanges
{
    private const int Limit = 10_000;
    private readonly List<GuestRange> _ranges = [];

    /// <summary>All bytes, those included that are not listed.</summary>
    public long Bytes { get; private set; }

    /// <summary>The list.</summary>
    public IReadOnlyList<GuestRange> All => _ranges;

    /// <summary>Adds a range; mostly behind the last one.</summary>
    public void Add(long offset, long length)
    {
        if (length <= 0)
            return;
        Bytes += length;
        if (_ranges.Count > 0 && _ranges[^1].Offset + _ranges[^1].Length == offset)
            _ranges[^1] = _ranges[^1] with { Length = _ranges[^1].Length + length };
        else if (_ranges.Count < Limit)
            _ranges.Add(new GuestRange(offset, length));
    }
}
