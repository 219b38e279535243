using System.Runtime.InteropServices;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Who owns which part of the file: checks that nothing overlaps and finds what nobody owns.</summary>
internal sealed class VhdLayout
{
    private readonly VhdBlocks _blocks;
    private readonly VhdBlockTable _table;
    private readonly VhdxFindings _findings;
    private readonly long _end;
    private readonly List<(FileRange Range, string Name, bool IsLocator)> _fixed = [];
    private readonly List<FileRange> _kept = [];
    private readonly List<ulong> _places = [];

    private VhdLayout(VhdBlocks blocks, VhdBlockTable table, long end, VhdxFindings findings)
    {
        _blocks = blocks;
        _table = table;
        _end = end;
        _findings = findings;
    }

    /// <summary>Blocks with a place in the file.</summary>
    public long PresentBlocks => _places.Count;

    /// <summary>Behind everything that is not a block.</summary>
    public long MetadataEnd { get; private set; }

    /// <summary>What nobody owns, in order, up to the footer.</summary>
    public List<FileRange> Gaps { get; } = [];

    /// <summary>Examines the whole table.</summary>
    /// <param name="footers">Where the disk's bytes end, and where the header is.</param>
    /// <param name="header">The header.</param>
    /// <param name="blocks">The disk.</param>
    /// <param name="table">The table.</param>
    /// <param name="findings">What is wrong.</param>
    public static VhdLayout Examine(
        VhdFooters footers, VhdDynamicHeader header, VhdBlocks blocks, VhdBlockTable table, VhdxFindings findings)
    {
        var layout = new VhdLayout(blocks, table, footers.End, findings);
        layout.AddMetadata(footers, header);
        layout.VisitBlocks();
        layout.CheckApartAndFindGaps();
        return layout;
    }

    private void AddMetadata(VhdFooters footers, VhdDynamicHeader header)
    {
        _fixed.Add((new FileRange(0, VhdFormat.FooterLength), "the copy of the footer", false));
        _fixed.Add((new FileRange((long)footers.Current.DataOffset, VhdFormat.HeaderLength), "the dynamic header", false));
        var tableLength = VhdFormat.AlignUp(_table.Count * sizeof(uint), VhdFormat.Sector);
        _fixed.Add((new FileRange(_table.Offset, tableLength), "the block table", false));
        _kept.Add(new FileRange(_table.Offset, VhdFormat.AlignUp(header.MaxEntries * (long)sizeof(uint), VhdFormat.Sector)));
        for (var index = 0; index < VhdFormat.LocatorCount; index++)
            AddLocator(header.Locator(index));
        _fixed.Sort(static (a, b) => a.Range.Start.CompareTo(b.Range.Start));
        foreach (var (range, _, _) in _fixed)
            MetadataEnd = Math.Max(MetadataEnd, range.End);
        foreach (var range in _kept)
            MetadataEnd = Math.Max(MetadataEnd, Math.Min(range.End, _end));
    }

    private void AddLocator(VhdLocator locator)
    {
        if (!locator.IsUsed || locator.Length == 0)
            return;
        if (locator.Length > VhdFormat.MaxLocatorLength || _end < locator.Length || locator.Offset > (ulong)(_end - locator.Length))
        {
            _findings.Warning(null,
                $"the parent locator {locator.Name} ({locator.Length} bytes at {locator.Offset}) is longer than any path or reaches past the end at {_end}; it is ignored");
            return;
        }

        _fixed.Add((new FileRange((long)locator.Offset, locator.Length), $"the parent locator {locator.Name}", true));
        _kept.Add(new FileRange((long)locator.Offset, locator.RoomInBytes));
    }

    private void VisitBlocks()
    {
        for (var block = _table.NextPresent(0, _table.Count); block < _table.Count; block = _table.NextPresent(block + 1, _table.Count))
        {
            var place = _table[block];
            var needed = _blocks.BitmapLength + _blocks.UsedLength(block);
            if (place > _end - needed)
            {
                _findings.Error(_table.EntryOffset(block),
                    $"block {block} ({needed} bytes at {place}) reaches past the end of the blocks at {_end}");
                continue;
            }

            if (place > _end - _blocks.PlaceLength)
                _findings.Information(_table.EntryOffset(block), $"the last block {block} is cut at the end of the file; all bytes of the disk are there");
            _places.Add(((ulong)(place / VhdFormat.Sector) << 32) | (uint)block);
        }

        _places.Sort();
    }

    private void CheckApartAndFindGaps()
    {
        var places = CollectionsMarshal.AsSpan(_places);
        var owned = default(Neighbour);
        var path = default(Neighbour);
        int nextFixed = 0, nextPlace = 0;
        while (nextFixed < _fixed.Count || nextPlace < places.Length)
        {
            var place = nextPlace < places.Length ? (long)(places[nextPlace] >> 32) * VhdFormat.Sector : long.MaxValue;
            FileRange range;
            string? name = null;
            var isLocator = false;
            uint block = 0;
            if (nextFixed < _fixed.Count && _fixed[nextFixed].Range.Start <= place)
                (range, name, isLocator) = _fixed[nextFixed++];
            else
                (range, block) = (new FileRange(place, _blocks.PlaceLength), (uint)places[nextPlace++]);
            if (range.Start < owned.End || range.Start < path.End)
                ReportOverlap(range.Start, name ?? $"block {block}", isLocator, range.Start < owned.End ? owned : path);
            AddGap(Math.Max(owned.End, path.End), range.Start);
            if (isLocator)
                path = range.End > path.End ? new Neighbour(range.End, name, true) : path;
            else
                owned = range.End > owned.End ? new Neighbour(range.End, name, false) : owned;
        }

        AddGap(Math.Max(owned.End, path.End), _end);
    }

    /// <summary>A path that lies in something else is only a path that cannot be read. Such a one may have pointed behind the end
    /// when the disk was opened last, and a new block has come to lie there.</summary>
    private void ReportOverlap(long at, string name, bool isLocator, Neighbour before)
    {
        var message = $"{name} at {at} overlaps {before.Name ?? "another block"}, which ends at {before.End}";
        if (isLocator || before.IsLocator)
            _findings.Warning(at, message);
        else
            _findings.Error(at, message);
    }

    /// <summary>Notes a gap, without the room that is kept for longer paths and more entries.</summary>
    private void AddGap(long from, long to)
    {
        foreach (var kept in _kept)
        {
            if (kept.Start < to && kept.End > from)
            {
                AddGap(from, Math.Min(kept.Start, to));
                from = Math.Max(from, kept.End);
            }
        }

        if (to > from)
            Gaps.Add(new FileRange(from, to - from));
    }

    /// <summary>Who reaches furthest so far; no name for a block.</summary>
    private readonly record struct Neighbour(long End, string? Name, bool IsLocator);
}
