using System.Runtime.InteropServices;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A stretch of the file.</summary>
internal readonly record struct FileRange(long Start, long Length)
{
    public long End => Start + Length;
}

/// <summary>Who owns which part of the file: checks that nothing overlaps and finds what nobody owns.</summary>
/// <remarks>[MS-VHDX] section 2.5.1: a block lies behind the header section and must not overlap any other structure.</remarks>
internal sealed class VhdxLayout
{
    // A used range is packed as "MiB offset, block number": sorting plain numbers is quick, and a full 64 TiB disk stays affordable.
    private const int BlockBits = 27;
    private const ulong BlockMask = (1UL << BlockBits) - 1;
    private const ulong MaxMiB = 1UL << 36;

    private readonly IStorageFile _file;
    private readonly BlockAllocationTable _table;
    private readonly VhdxGeometry _geometry;
    private readonly VhdxRegion _batRegion;
    private readonly VhdxFindings _findings;
    private readonly List<ulong> _used = [];
    private readonly List<FileRange> _fixed = [];
    private readonly List<FileRange> _anchored = [];
    private bool _sorted = true;

    private VhdxLayout(IStorageFile file, BlockAllocationTable table, VhdxRegion batRegion, VhdxFindings findings)
    {
        _file = file;
        _table = table;
        _geometry = table.Geometry;
        _batRegion = batRegion;
        _findings = findings;
    }

    /// <summary>Blocks with a place in the file.</summary>
    public long PresentBlocks { get; private set; }

    /// <summary>What nobody owns, in whole MiB, in order; the end of the file is not included.</summary>
    public List<FileRange> Gaps { get; } = [];

    /// <summary>Examines the whole table.</summary>
    public static VhdxLayout Examine(
        IStorageFile file, VhdxHeader header, VhdxRegionTable regions, BlockAllocationTable table, VhdxFindings findings)
    {
        var layout = new VhdxLayout(file, table, regions.Bat, findings);
        layout._fixed.Add(new FileRange(0, VhdxFormat.HeaderSectionEnd));
        layout._fixed.Add(new FileRange(header.LogOffset, header.LogLength));
        foreach (var region in regions.Regions)
            layout._fixed.Add(new FileRange(region.Offset, region.Length));
        layout._fixed.Sort(static (a, b) => a.Start.CompareTo(b.Start));
        table.ForEachUsed(layout.Visit);
        layout.CheckApartAndFindGaps();
        return layout;
    }

    private static long StartOf(ulong used) => (long)(used >> BlockBits) << 20;

    private static long BlockOf(ulong used) => (long)(used & BlockMask);

    private long EntryOffset(long entry) => _batRegion.Offset + (entry * sizeof(ulong));

    private void Visit(long index, BatEntry entry)
    {
        if (entry.ReservedBits != 0)
            _findings.Warning(EntryOffset(index), $"the entry {entry.Raw:x16} of the block allocation table has reserved bits set");
        if (_geometry.IsBitmapEntry(index))
        {
            VisitBitmap(index, entry);
            return;
        }

        var block = _geometry.BlockOf(index);
        switch (entry.State)
        {
            case BlockState.FullyPresent:
                VisitPresent(block, index, entry);
                break;
            case BlockState.NotPresent or BlockState.Undefined or BlockState.Zero or BlockState.Unmapped or BlockState.UnmappedInDrafts:
                if (entry.State == BlockState.UnmappedInDrafts)
                    _findings.Warning(EntryOffset(index), $"block {block} has state 5, which only drafts of the format used; read as unmapped");
                if (entry.RawOffset != 0)
                    VisitAnchored(block, index, entry, _geometry.BlockSize);
                break;
            default:
                _findings.Error(EntryOffset(index), $"block {block} has state {(int)entry.State}, which a disk without parent must not have");
                break;
        }
    }

    private void VisitBitmap(long index, BatEntry entry)
    {
        if (entry.State != BlockState.NotPresent)
            _findings.Warning(EntryOffset(index), $"a sector bitmap entry has state {(int)entry.State} though the disk has no parent");
        if (entry.RawOffset != 0)
            VisitAnchored(-1, index, entry, (int)VhdxFormat.MiB);
    }

    /// <summary>Another program may take such an offset as still reserved for the block, so the space is not free for us.</summary>
    private void VisitAnchored(long block, long index, BatEntry entry, int length)
    {
        _findings.Warning(EntryOffset(index),
            block < 0 ? "a sector bitmap that is not present has an offset" : $"block {block} is not present (state {(int)entry.State}) but has an offset");
        if (entry.RawOffset < (ulong)_file.Length)
            _anchored.Add(new FileRange(entry.Offset, length));
    }

    private void VisitPresent(long block, long index, BatEntry entry)
    {
        var needed = _geometry.UsedLength(block);
        if (entry.RawOffset < (ulong)VhdxFormat.HeaderSectionEnd)
        {
            _findings.Error(EntryOffset(index), $"block {block} is at {entry.RawOffset}, inside the header section");
            return;
        }

        if (entry.RawOffset >> 20 >= MaxMiB || entry.Offset > _file.Length - needed)
        {
            _findings.Error(EntryOffset(index),
                $"block {block} ({needed} bytes at {entry.RawOffset}) reaches past the end of the file at {_file.Length}");
            return;
        }

        if (entry.Offset > _file.Length - _geometry.BlockSize)
            _findings.Information(EntryOffset(index), $"the last block {block} is cut at the end of the file; all bytes of the disk are there");
        PresentBlocks++;
        var packed = ((entry.RawOffset >> 20) << BlockBits) | (ulong)block;
        _sorted &= _used.Count == 0 || _used[^1] < packed;
        _used.Add(packed);
    }

    private void CheckApartAndFindGaps()
    {
        if (!_sorted)
            _used.Sort();
        _anchored.Sort(static (a, b) => a.Start.CompareTo(b.Start));
        var blocks = CollectionsMarshal.AsSpan(_used);
        var owner = -1L;
        var end = 0L;
        int nextFixed = 0, nextAnchored = 0, nextBlock = 0;
        while (true)
        {
            var fixedStart = nextFixed < _fixed.Count ? _fixed[nextFixed].Start : long.MaxValue;
            var anchoredStart = nextAnchored < _anchored.Count ? _anchored[nextAnchored].Start : long.MaxValue;
            var blockStart = nextBlock < blocks.Length ? StartOf(blocks[nextBlock]) : long.MaxValue;
            var start = Math.Min(Math.Min(fixedStart, anchoredStart), blockStart);
            if (start == long.MaxValue)
                break;
            if (start == fixedStart)
            {
                CheckBehind(owner, fixedStart, ref end, _fixed[nextFixed++].Length, block: -1);
                owner = -1;
            }
            else if (start == blockStart)
            {
                var block = BlockOf(blocks[nextBlock++]);
                CheckBehind(owner, blockStart, ref end, _geometry.BlockSize, block);
                owner = block;
            }
            else
            {
                // Never an error: nobody reads these bytes.
                AddGap(end, start);
                end = Math.Max(end, _anchored[nextAnchored++].End);
                owner = -2;
            }
        }

        AddGap(end, VhdxFormat.AlignDown(_file.Length, VhdxFormat.MiB));
    }

    private void CheckBehind(long owner, long start, ref long end, long length, long block)
    {
        if (start < end && owner != -2)
        {
            var what = block < 0 ? "a region or the log" : $"block {block}";
            var other = owner < 0 ? "a region or the log" : $"block {owner}";
            _findings.Error(start, $"{what} at {start} overlaps {other}, which ends at {end}");
        }

        AddGap(end, start);
        end = Math.Max(end, start + length);
    }

    private void AddGap(long from, long to)
    {
        if (to > from)
            Gaps.Add(new FileRange(from, to - from));
    }
}
