using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts the block table right: entries past the end, inside the metadata, or at a place another block has.</summary>
/// <remarks>VHD specification 1.0, "Block Allocation Table". Of two blocks that overlap the one that begins first keeps its place;
/// both are listed.</remarks>
internal sealed class VhdTableRepair
{
    private readonly RepairWork _work;
    private readonly VhdBlocks _blocks;
    private readonly VhdBlockTable _table;
    private readonly long _end;
    private readonly string _gone;
    private readonly List<ulong> _places = [];
    private readonly List<long> _cut = [];
    private readonly List<long> _doubtful = [];
    private readonly Dictionary<string, (TableProblem Problem, List<long> Blocks)> _gaveWay = [];
    private long _grownEnd;

    private VhdTableRepair(RepairWork work, VhdBlocks blocks, VhdBlockTable table, VhdFooters footers)
    {
        _work = work;
        _blocks = blocks;
        _table = table;
        _end = footers.End;
        _gone = footers.Current.Kind == VhdKind.Differencing ? "they read as the parent from now on" : "they read as zeroes from now on";
    }

    /// <summary>Repairs the table.</summary>
    /// <returns>The footer, no longer in its place when a block that was cut needs the space.</returns>
    public static async ValueTask<VhdFooters> RunAsync(
        RepairWork work, VhdFooters footers, VhdDynamicHeader header, VhdBlocks blocks, CancellationToken cancellationToken)
    {
        var table = await VhdBlockTable.LoadAsync(work.File, header, blocks.Count, footers.End, cancellationToken).ConfigureAwait(false);
        var repair = new VhdTableRepair(work, blocks, table, footers);
        repair.FindPastEnd();
        repair.FindOverlaps(footers);
        await repair.ApplyAsync(cancellationToken).ConfigureAwait(false);
        if (repair._grownEnd == 0)
            return footers;
        await work.File.PunchHoleAsync(footers.End, work.File.Length - footers.End, cancellationToken).ConfigureAwait(false);
        await work.File.SetLengthAsync(repair._grownEnd, cancellationToken).ConfigureAwait(false);
        return footers with { End = repair._grownEnd, IsInPlace = false };
    }

    private void FindPastEnd()
    {
        for (var block = _table.NextPresent(0, _table.Count); block < _table.Count; block = _table.NextPresent(block + 1, _table.Count))
        {
            var place = _table[block];
            if (place + _blocks.BitmapLength >= _end)
                Lose("place", block, "{0} are said to be where the file has nothing");
            else
                _places.Add(((ulong)(place / VhdFormat.Sector) << 32) | (uint)block);
        }

        _places.Sort();
    }

    private void FindOverlaps(VhdFooters footers)
    {
        var metadata = new RangeSet();
        metadata.Add(0, VhdFormat.FooterLength);
        metadata.Add((long)footers.Current.DataOffset, VhdFormat.HeaderLength);

        // Not the parent's paths: of a block and a path at one place an opening takes the path for one that cannot be read.
        metadata.Add(_table.Offset, VhdFormat.AlignUp(_table.Count * sizeof(uint), VhdFormat.Sector));
        var (end, owner) = (0L, -1L);
        foreach (var packed in _places)
        {
            var (place, block) = ((long)(packed >> 32) * VhdFormat.Sector, (long)(uint)packed);
            if (metadata.NextFrom(place) is FileRange taken && taken.Start < place + _blocks.PlaceLength)
            {
                Lose("metadata", block, "{0} are said to be where the file's own structures are");
            }
            else if (place < end)
            {
                Lose("overlap", block, "{0} are said to be where another block is");
                if (_doubtful.Count == 0 || _doubtful[^1] != owner)
                    _doubtful.Add(owner);
            }
            else
            {
                (end, owner) = (place + _blocks.PlaceLength, block);
                if (place > _end - _blocks.BitmapLength - _blocks.UsedLength(block))
                    _cut.Add(block);
            }
        }
    }

    private async ValueTask ApplyAsync(CancellationToken cancellationToken)
    {
        foreach (var (problem, lost) in _gaveWay.Values)
        {
            // In the order of the disk, however their places are ordered.
            lost.Sort();
            for (var index = 0; index < lost.Count;)
            {
                // Neighbours at once: a table that lies may have millions of them.
                cancellationToken.ThrowIfCancellationRequested();
                var (first, next) = (lost[index], index + 1);
                while (next < lost.Count && lost[next] == lost[next - 1] + 1)
                    next++;
                var last = lost[next - 1];
                problem.Lost.Add(_blocks.StartOf(first), _blocks.StartOf(last) + _blocks.UsedLength(last) - _blocks.StartOf(first));
                if (_work.Options.Lossy)
                    await _table.ClearAsync(first, next - index).ConfigureAwait(false);
                index = next;
            }

            problem.Tell(_work);
        }

        TellKept(_doubtful, "{0} were at a place that others claimed too", "they keep it; whether the bytes there are theirs cannot be told", static _ => 0);
        TellKept(_cut, "{0} are only in part in front of the end of the blocks", "the missing part reads as zeroes from now on",
            block => Math.Max(0, _end - _table[block] - _blocks.BitmapLength));
        if (!_work.Options.Lossy)
            return;
        foreach (var block in _cut)
            _grownEnd = Math.Max(_grownEnd, _table[block] + _blocks.PlaceLength);
    }

    private void TellKept(List<long> kept, string problem, string action, Func<long, long> there)
    {
        if (kept.Count == 0)
            return;
        kept.Sort();
        var noted = new TableProblem(_table.EntryOffset(kept[0]), $"block {kept[0]}", problem, action, isLoss: true) { Count = kept.Count };
        foreach (var block in kept)
            noted.Lost.Add(_blocks.StartOf(block) + there(block), _blocks.UsedLength(block) - there(block));
        noted.Tell(_work);
    }

    private void Lose(string key, long block, string problem)
    {
        if (!_gaveWay.TryGetValue(key, out var gaveWay))
        {
            gaveWay = (new TableProblem(_table.EntryOffset(block), $"block {block}", problem, _gone, isLoss: true), []);
            _gaveWay.Add(key, gaveWay);
        }

        gaveWay.Problem.Count++;
        gaveWay.Blocks.Add(block);
    }
}
