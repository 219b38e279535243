using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Who owns which part of the file: checks that nothing overlaps and finds what nobody owns.</summary>
/// <remarks>The table is read from the file and never as a whole, so that memory does not depend on what the header says.</remarks>
internal sealed class VhdLayout
{
    // 16 MiB. What is not listed is not used.
    private const int MaxGaps = 1 << 20;

    private readonly VhdBlocks _blocks;
    private readonly VhdTableEntries _table;
    private readonly VhdxFindings _findings;
    private readonly long _end;
    private readonly List<(FileRange Range, string Name, bool IsLocator)> _fixed = [];
    private readonly List<FileRange> _kept = [];
    private int _nextFixed;
    private Neighbour _owned;
    private Neighbour _path;

    private VhdLayout(VhdBlocks blocks, VhdTableEntries table, long end, VhdxFindings findings)
    {
        _blocks = blocks;
        _table = table;
        _end = end;
        _findings = findings;
    }

    /// <summary>Blocks with a place in the file.</summary>
    public long PresentBlocks { get; private set; }

    /// <summary>Behind everything that is not a block.</summary>
    public long MetadataEnd { get; private set; }

    /// <summary>What nobody owns, in order, up to the footer; of a great many gaps only the first ones.</summary>
    public List<FileRange> Gaps { get; } = [];

    /// <summary>Examines the whole table.</summary>
    /// <param name="footers">Where the disk's bytes end, and where the header is.</param>
    /// <param name="header">The header.</param>
    /// <param name="blocks">The disk.</param>
    /// <param name="table">The table.</param>
    /// <param name="findings">What is wrong.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<VhdLayout> ExamineAsync(
        VhdFooters footers, VhdDynamicHeader header, VhdBlocks blocks, VhdTableEntries table, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var layout = new VhdLayout(blocks, table, footers.End, findings);
        layout.AddMetadata(footers, header);
        await table.ForEachPresentAsync(layout.CheckInside, cancellationToken).ConfigureAwait(false);
        await new VhdPlaceOrder(table, layout.IsInside).VisitAsync(layout.VisitPlace, cancellationToken).ConfigureAwait(false);
        layout.VisitFixed(long.MaxValue);
        layout.AddGap(Math.Max(layout._owned.End, layout._path.End), layout._end);
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
        if (!locator.HasPathBefore(_end))
        {
            _findings.Warning(null,
                $"the parent locator {locator.Name} ({locator.Length} bytes at {locator.Offset}) is longer than any path or reaches past the end at {_end}; it is ignored");
            return;
        }

        _fixed.Add((new FileRange((long)locator.Offset, locator.Length), $"the parent locator {locator.Name}", true));
        _kept.Add(new FileRange((long)locator.Offset, locator.RoomInBytes));
    }

    private long NeededBy(long block) => _blocks.BitmapLength + _blocks.UsedLength(block);

    private bool IsInside(long block, long place) => place <= _end - NeededBy(block);

    private void CheckInside(long block, long place)
    {
        if (!IsInside(block, place))
            _findings.Error(_table.OffsetOf(block), $"block {block} ({NeededBy(block)} bytes at {place}) reaches past the end of the blocks at {_end}");
        else if (place > _end - _blocks.PlaceLength)
            _findings.Information(_table.OffsetOf(block), $"the last block {block} is cut at the end of the file; all bytes of the disk are there");
    }

    private void VisitPlace(long block, long place)
    {
        PresentBlocks++;
        VisitFixed(place);
        var range = new FileRange(place, _blocks.PlaceLength);
        if (Overlapped(range.Start) is Neighbour other)
            _findings.Report(other.IsLocator ? CheckSeverity.Warning : CheckSeverity.Error, place, $"block {block} at {place} overlaps {other}");
        Own(range, name: null);
    }

    /// <summary>Visits what is not a block and begins there or in front of it.</summary>
    private void VisitFixed(long behind)
    {
        for (; _nextFixed < _fixed.Count && _fixed[_nextFixed].Range.Start <= behind; _nextFixed++)
        {
            var (range, name, isLocator) = _fixed[_nextFixed];
            if (Overlapped(range.Start) is Neighbour other)
            {
                // A path that lies in something else is only a path that cannot be read. Such a one may have pointed behind the end
                // when the disk was opened last, and a new block has come to lie there.
                _findings.Report(
                    isLocator || other.IsLocator ? CheckSeverity.Warning : CheckSeverity.Error, range.Start, $"{name} at {range.Start} overlaps {other}");
            }

            if (!isLocator)
            {
                Own(range, name);
                continue;
            }

            AddGap(Math.Max(_owned.End, _path.End), range.Start);
            _path = range.End > _path.End ? new Neighbour(range.End, name, true) : _path;
        }
    }

    private Neighbour? Overlapped(long start) => start < _owned.End ? _owned : start < _path.End ? _path : null;

    private void Own(FileRange range, string? name)
    {
        AddGap(Math.Max(_owned.End, _path.End), range.Start);
        _owned = range.End > _owned.End ? new Neighbour(range.End, name, false) : _owned;
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

        if (to > from && Gaps.Count < MaxGaps)
            Gaps.Add(new FileRange(from, to - from));
    }

    /// <summary>Who reaches furthest so far; no name for a block.</summary>
    private readonly record struct Neighbour(long End, string? Name, bool IsLocator)
    {
        public override string ToString() => $"{Name ?? "another block"}, which ends at {End}";
    }
}
