namespace Godwit.Fuzz.Soak;

/// <summary>A request that is under way: what its sectors hold when it is done.</summary>
/// <param name="Id">Its number; sectors it writes carry it. 0 when it leaves zeroes.</param>
/// <param name="First">First sector.</param>
/// <param name="Count">Sectors.</param>
internal readonly record struct Change(int Id, long First, long Count)
{
    public bool Covers(long sector) => sector >= First && sector < First + Count;

    public long ValueAt(long sector) => SectorModel.Tag(Id, sector);
}

/// <summary>
/// What every 512-byte sector may hold: one value as long as nothing goes wrong, and after a power cut the last flushed
/// one or any later one. Costs memory only for what is not zero.
/// </summary>
internal sealed class SectorModel(long length)
{
    public const int Sector = 512;

    // A sector is told by one number: it is filled with it. Zero is no entry.
    private readonly Dictionary<long, long> _now = [];

    // Oldest first, the value that is flushed; only sectors that changed since the last flush.
    private readonly Dictionary<long, List<long>> _unflushed = [];
    private readonly List<long> _lengths = [length];

    /// <summary>Bytes of the disk.</summary>
    public long Length => _lengths[^1];

    /// <summary>What request <paramref name="id"/> writes into a sector.</summary>
    public static long Tag(int id, long sector) => id == 0 ? 0 : ((long)id << 32) | (uint)sector;

    /// <summary>Every sector that is not zero, as of now.</summary>
    public Dictionary<long, long> Snapshot() => new(_now);

    public long Now(long sector) => _now.GetValueOrDefault(sector);

    /// <summary>A request has completed.</summary>
    public void Apply(Change change, bool forced)
    {
        if (change.Id == 0 && change.Count > _now.Count + _unflushed.Count)
        {
            foreach (var sector in _now.Keys.Concat(_unflushed.Keys).Where(change.Covers).Distinct().ToList())
                Apply(sector, 0, forced);
            return;
        }

        for (var sector = change.First; sector < change.First + change.Count; sector++)
            Apply(sector, change.ValueAt(sector), forced);
        if (forced && (change.First + change.Count) * Sector > _lengths[0])
            _lengths.RemoveRange(0, _lengths.Count - 1);
    }

    /// <summary>A growth has completed.</summary>
    public void Grow(long to) => _lengths.Add(to);

    /// <summary>A flush has completed.</summary>
    public void Flush()
    {
        _unflushed.Clear();
        _lengths.RemoveRange(0, _lengths.Count - 1);
    }

    /// <summary>Judges what was found after a crash or an opening; null when it may be.</summary>
    /// <param name="found">Every sector that is not zero.</param>
    /// <param name="foundLength">The size of the disk.</param>
    /// <param name="powerCut">Unflushed changes may be lost.</param>
    /// <param name="torn">A request that was under way; each of its sectors may show it or not.</param>
    public string? Judge(IReadOnlyDictionary<long, long> found, long foundLength, bool powerCut, Change? torn)
    {
        // A raw file may have grown only as far as a write reached.
        if (powerCut ? foundLength < _lengths[0] || foundLength > Length : foundLength != Length)
            return $"the disk has {foundLength} bytes; possible are {string.Join(", ", powerCut ? _lengths : [Length])}";
        foreach (var (sector, value) in found)
        {
            if (!Allows(sector, value, powerCut, torn))
                return Describe(sector, value);
        }

        // What is not found reads as zeroes.
        foreach (var sector in _now.Keys.Concat(_unflushed.Keys))
        {
            if (sector < foundLength / Sector && !found.ContainsKey(sector) && !Allows(sector, 0, powerCut, torn))
                return Describe(sector, 0);
        }

        return null;
    }

    /// <summary>From here on this is what is there, and it is stable.</summary>
    public void Adopt(IReadOnlyDictionary<long, long> found, long foundLength)
    {
        _unflushed.Clear();
        _now.Clear();
        foreach (var (sector, value) in found)
            _now.Add(sector, value);
        _lengths.Clear();
        _lengths.Add(foundLength);
    }

    private void Apply(long sector, long value, bool forced)
    {
        var old = Now(sector);
        if (forced)
            _unflushed.Remove(sector);
        else if (_unflushed.TryGetValue(sector, out var values))
            values.Add(value);
        else if (old != value)
            _unflushed.Add(sector, [old, value]);
        if (value == 0)
            _now.Remove(sector);
        else
            _now[sector] = value;
    }

    private bool Allows(long sector, long value, bool powerCut, Change? torn)
    {
        if (torn is Change change && change.Covers(sector) && value == change.ValueAt(sector))
            return true;
        return powerCut && _unflushed.TryGetValue(sector, out var values) ? values.Contains(value) : value == Now(sector);
    }

    private string Describe(long sector, long value)
    {
        var flushed = _unflushed.TryGetValue(sector, out var values) ? string.Join(", ", values.Select(Name)) : Name(Now(sector));
        return $"sector {sector} holds {Name(value)}; since the last flush it held {flushed}";
    }

    private static string Name(long value) => value == 0 ? "zeroes" : $"request {value >> 32} for sector {(uint)value}";
}
