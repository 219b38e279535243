using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts the block allocation table right, entry by entry.</summary>
/// <remarks>[MS-VHDX] section 2.5. Of two blocks at one place the one that stands first in the table keeps it: which one the bytes
/// belong to cannot be told, so both are listed. Memory depends on the length of the file, not on what the table says.</remarks>
internal sealed class VhdxTableRepair
{
    private const int MaxContested = 100_000;
    private readonly RepairWork _work;
    private readonly VhdxRegion _region;
    private readonly VhdxGeometry _geometry;
    private readonly FileClaims _claims = new();
    private readonly HashSet<long> _bitmaps = [];
    private readonly Dictionary<string, TableProblem> _problems = [];

    // Where blocks overlap, and which ones had to give way. Bounded: behind that only those that give way are listed.
    private readonly RangeSet _contested = new();
    private readonly HashSet<long> _losers = [];
    private bool _hasPartial;
    private long _blocks;
    private long _grownEnd;

    public VhdxTableRepair(RepairWork work, VhdxHeader header, VhdxRegionTable regions, VhdxGeometry geometry)
    {
        _work = work;
        _region = regions.Bat;
        _geometry = geometry;
        Claim(0, VhdxFormat.HeaderSectionEnd);
        Claim(header.LogOffset, header.LogLength);
        foreach (var region in regions.Regions)
            Claim(region.Offset, region.Length);
    }

    /// <summary>Behind everything that somebody owns.</summary>
    public long UsedEnd { get; private set; }

    /// <summary>Repairs the table.</summary>
    /// <returns>False when the table cannot be that of this disk.</returns>
    public async ValueTask<bool> RunAsync(CancellationToken cancellationToken)
    {
        if (_region.Length / sizeof(ulong) < _geometry.EntryCount)
        {
            _work.Impossible(_region.Offset,
                $"the block allocation table has room for {_region.Length / sizeof(ulong)} entries, the disk needs {_geometry.EntryCount}",
                "disk size, block size or region table is wrong, and nothing tells which; take the image from a backup");
            return false;
        }

        if (_region.End > _work.DataEnd)
            await NoteCutTableAsync(cancellationToken).ConfigureAwait(false);
        var fixedEnd = UsedEnd;
        var pages = new VhdxTablePages(_work.File, _region.Offset, _geometry);
        await pages.ForEachAsync(Visit, static () => false, cancellationToken).ConfigureAwait(false);
        if (_hasPartial)
            await pages.ForEachAsync(VisitPartial, static () => false, cancellationToken).ConfigureAwait(false);
        if (_losers.Count > 0)
            await pages.ForEachAsync(VisitContested, static () => false, cancellationToken).ConfigureAwait(false);
        if (_hasPartial && _work.Options.Lossy)
        {
            // Blocks that lost their place for want of a sector bitmap own nothing any more.
            UsedEnd = fixedEnd;
            await pages.ForEachAsync(CountUsed, static () => false, cancellationToken).ConfigureAwait(false);
        }

        if (_grownEnd > _work.File.Length)
            await _work.File.SetLengthAsync(VhdxFormat.AlignUp(_grownEnd, VhdxFormat.MiB), cancellationToken).ConfigureAwait(false);
        foreach (var problem in _problems.Values)
            problem.Tell(_work);
        if (_region.End <= _work.DataEnd || _blocks > 0)
            return true;
        _work.Abandon(_work.DataEnd,
            $"the file ends at {_work.DataEnd}, inside its block allocation table, and no block that the rest of it names is in the file",
            "nothing of the disk is in this file: take it from a backup or from another copy");
        return false;
    }

    /// <summary>Whatever stood in the entries behind the cut, its blocks have no place any more.</summary>
    private async ValueTask NoteCutTableAsync(CancellationToken cancellationToken)
    {
        var first = (_work.DataEnd - _region.Offset) / sizeof(ulong);
        if (first >= _geometry.EntryCount)
            return;

        // Of the entry at the cut only a part is there, which is none.
        await _work.File.WriteAsync(_region.Offset + (first * sizeof(ulong)), new byte[sizeof(ulong)], cancellationToken).ConfigureAwait(false);
        var from = _geometry.IsBitmapEntry(first) ? first + 1 : first;
        if (_geometry.IsBehindEnd(from) || from >= _geometry.EntryCount)
            return;
        var problem = Problem("cuttable", from, "{0} and all behind it were behind the cut", $"their blocks are lost, if they had a place: {Gone}", isLoss: true);
        var start = _geometry.StartOf(_geometry.BlockOf(from));
        problem.Lost.Add(start, _geometry.DiskSize - start);
    }

    private ulong Visit(long index, BatEntry entry)
    {
        if (entry.ReservedBits != 0)
        {
            Note("reserved", index, "{0} of the block allocation table have reserved bits set", "they are cleared");
            entry = new BatEntry(entry.Raw ^ entry.ReservedBits);
        }

        if (_geometry.IsBitmapEntry(index))
            return VisitBitmap(index, entry);
        if (_geometry.IsBehindEnd(index))
            return Clear("behind", index, entry, "{0} behind the end of the disk are not zero");
        if (entry.State == BlockState.UnmappedInDrafts)
            return Replace("draft", index, new BatEntry(BlockState.Unmapped, 0), "{0} have state 5, which only drafts of the format used", "they become 3, unmapped");
        if (!entry.IsPresent)
            return VisitAbsent(index, entry);
        if (entry.State == BlockState.PartiallyPresent && !_geometry.HasParent)
            return VisitPlace(index, Lose("partial", index, entry, "{0} are partially present though the disk has no parent", "they count as present; what was never written there may be old bytes", new BatEntry(BlockState.FullyPresent, entry.Offset)));
        return VisitPlace(index, entry);
    }

    private ulong VisitAbsent(long index, BatEntry entry)
    {
        if ((int)entry.State == 4)
            return Lose("state", index, entry, "{0} have state 4, which means nothing", Gone, default).Raw;
        return entry.RawOffset == 0
            ? entry.Raw
            : Replace("anchored", index, new BatEntry(entry.State, 0), "{0} are not present but have an offset", "the offset is cleared");
    }

    private ulong VisitBitmap(long index, BatEntry entry)
    {
        if (!_geometry.HasParent || entry.State == BlockState.NotPresent)
            return Clear("bitmap", index, entry, "{0} of sector bitmaps that are not used are not zero");
        var problem = entry.State != BlockState.FullyPresent || !IsInside(entry, VhdxFormat.MiB) ? "{0} of sector bitmaps are impossible"
            : !_claims.TryClaim(entry.Offset, VhdxFormat.MiB, out _) ? "{0} of sector bitmaps point to what belongs to something else" : null;
        if (problem is not null)
            return Lose("bitmaps", index, entry, problem, "they are cleared; partially present blocks that need them are listed by themselves", default).Raw;
        _bitmaps.Add(index);
        UsedEnd = Math.Max(UsedEnd, entry.Offset + VhdxFormat.MiB);
        return entry.Raw;
    }

    private string Gone => _geometry.HasParent ? "they read as the parent from now on" : "they read as zeroes from now on";

    private bool IsInside(BatEntry entry, long length) =>
        entry.RawOffset >= (ulong)VhdxFormat.HeaderSectionEnd && entry.RawOffset <= (ulong)VhdxFormat.MaxFileLength
        && entry.Offset <= Math.Min(_work.DataEnd, _work.File.Length) - length;

    private ulong VisitPlace(long index, BatEntry entry)
    {
        var block = _geometry.BlockOf(index);
        var isPlace = entry.RawOffset >= (ulong)VhdxFormat.HeaderSectionEnd && entry.RawOffset <= (ulong)(VhdxFormat.MaxFileLength - _geometry.BlockSize);
        if (!isPlace || entry.Offset >= _work.DataEnd)
            return Lose("place", index, entry, "{0} are said to be where the file has nothing", Gone, default).Raw;
        if (!_claims.TryClaim(entry.Offset, _geometry.BlockSize, out _))
        {
            if (_losers.Count < MaxContested && _losers.Add(index))
                _contested.Add(entry.Offset, _geometry.BlockSize);
            return Lose("overlap", index, entry, "{0} are said to be where something else is", Gone, default).Raw;
        }

        var there = _work.DataEnd - entry.Offset;
        var needed = _geometry.UsedLength(block);
        if (there < needed)
        {
            Problem("cut", index, "{0} are only in part inside the file", "the missing part reads as zeroes from now on", isLoss: true)
                .Lost.Add(_geometry.StartOf(block) + there, needed - there);
            if (!_work.Options.Lossy)
                return entry.Raw;
            _grownEnd = Math.Max(_grownEnd, entry.Offset + _geometry.BlockSize);
        }

        _blocks++;
        _hasPartial |= entry.State == BlockState.PartiallyPresent;
        UsedEnd = Math.Max(UsedEnd, entry.Offset + _geometry.BlockSize);
        return entry.Raw;
    }

    private ulong VisitPartial(long index, BatEntry entry)
    {
        if (_geometry.IsBitmapEntry(index) || _geometry.IsBehindEnd(index) || entry.State != BlockState.PartiallyPresent
            || _bitmaps.Contains(_geometry.BitmapEntryOf(index / (_geometry.ChunkRatio + 1))))
        {
            return entry.Raw;
        }

        return Lose("nobitmap", index, entry, "{0} are partially present but have no sector bitmap", Gone, default).Raw;
    }

    private ulong CountUsed(long index, BatEntry entry)
    {
        if (BatEntryRules.OwnedLength(_geometry, index, entry) is > 0 and var length)
            UsedEnd = Math.Max(UsedEnd, entry.Offset + length);
        return entry.Raw;
    }

    private ulong VisitContested(long index, BatEntry entry)
    {
        if (BatEntryRules.OwnedLength(_geometry, index, entry) is > 0 and var length && !_geometry.IsBitmapEntry(index) && !_losers.Contains(index)
            && _contested.NextFrom(entry.Offset) is FileRange contested && contested.Start < entry.Offset + length)
        {
            Lose("doubt", index, entry, "{0} were at a place that others claimed too", "they keep it; whether the bytes there are theirs cannot be told", entry);
        }

        return entry.Raw;
    }

    private ulong Clear(string key, long index, BatEntry entry, string problem) =>
        entry.Raw == 0 ? 0 : Replace(key, index, default, problem, "they are cleared");

    private ulong Replace(string key, long index, BatEntry wanted, string problem, string action)
    {
        Note(key, index, problem, action);
        return wanted.Raw;
    }

    private void Note(string key, long index, string problem, string action) => Problem(key, index, problem, action, isLoss: false);

    /// <summary>What becomes of an entry that cannot be kept as it is: the other one when losses are permitted.</summary>
    private BatEntry Lose(string key, long index, BatEntry entry, string problem, string action, BatEntry wanted)
    {
        var noted = Problem(key, index, problem, action, isLoss: true);
        if (!_geometry.IsBitmapEntry(index))
            noted.Lost.Add(_geometry.StartOf(_geometry.BlockOf(index)), _geometry.UsedLength(_geometry.BlockOf(index)));
        return _work.Options.Lossy ? wanted : entry;
    }

    private TableProblem Problem(string key, long index, string problem, string action, bool isLoss)
    {
        if (!_problems.TryGetValue(key, out var noted))
        {
            noted = new TableProblem(
                _region.Offset + (index * sizeof(ulong)), BatEntryRules.NameOf(_geometry, index), problem, action, isLoss);
            _problems.Add(key, noted);
        }

        noted.Count++;
        return noted;
    }

    private void Claim(long start, long length)
    {
        _claims.Claim(start, length);
        UsedEnd = Math.Max(UsedEnd, start + length);
    }
}
