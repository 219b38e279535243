using System.Collections;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;

namespace Godwit.Storage.Repair;

/// <summary>Puts the block table right: entries past the end, inside the metadata, or at a place another block has.</summary>
/// <remarks>VHD specification 1.0, "Block Allocation Table". Of two blocks that overlap the one that begins first keeps its place;
/// both are listed. Blocks are remembered by one bit each: memory does not depend on what the table says.</remarks>
internal sealed class VhdTableRepair
{
    private const int EntriesPerWrite = 1024;
    private readonly RepairWork _work;
    private readonly VhdBlocks _blocks;
    private readonly VhdTableEntries _table;
    private readonly long _end;
    private readonly string _gone;
    private readonly RangeSet _metadata = new();
    private readonly Dictionary<string, (TableProblem Problem, BitArray Blocks)> _gaveWay = [];
    private readonly BitArray _lost;
    private readonly BitArray _doubtful;
    private (long Block, long Place) _cut = (-1, 0);
    private (long End, long Block) _owner = (0, -1);
    private long _grownEnd;

    private VhdTableRepair(RepairWork work, VhdBlocks blocks, VhdTableEntries table, VhdFooters footers)
    {
        _work = work;
        _blocks = blocks;
        _table = table;
        _end = footers.End;
        _lost = new BitArray((int)table.Count);
        _doubtful = new BitArray((int)table.Count);
        _gone = footers.Current.Kind == VhdKind.Differencing ? "they read as the parent from now on" : "they read as zeroes from now on";
    }

    /// <summary>Repairs the table.</summary>
    /// <returns>The footer, no longer in its place when a block that was cut needs the space.</returns>
    public static async ValueTask<VhdFooters> RunAsync(
        RepairWork work, VhdFooters footers, VhdDynamicHeader header, VhdBlocks blocks, CancellationToken cancellationToken)
    {
        var table = VhdTableEntries.Of(work.File, header, blocks.Count, footers.End);
        var repair = new VhdTableRepair(work, blocks, table, footers);
        await table.ForEachPresentAsync(repair.VisitPastEnd, cancellationToken).ConfigureAwait(false);
        repair.AddMetadata(footers);
        await new VhdPlaceOrder(table, repair.IsInside).VisitAsync(repair.VisitPlace, cancellationToken).ConfigureAwait(false);
        await repair.ApplyAsync(cancellationToken).ConfigureAwait(false);
        if (repair._grownEnd == 0)
            return footers;
        await work.File.PunchHoleAsync(footers.End, work.File.Length - footers.End, cancellationToken).ConfigureAwait(false);
        await work.File.SetLengthAsync(repair._grownEnd, cancellationToken).ConfigureAwait(false);
        return footers with { End = repair._grownEnd, IsInPlace = false };
    }

    private bool IsInside(long block, long place) => place + _blocks.BitmapLength < _end;

    private void VisitPastEnd(long block, long place)
    {
        if (!IsInside(block, place))
            Lose("place", block, "{0} are said to be where the file has nothing");
    }

    private void AddMetadata(VhdFooters footers)
    {
        _metadata.Add(0, VhdFormat.FooterLength);
        _metadata.Add((long)footers.Current.DataOffset, VhdFormat.HeaderLength);

        // Not the parent's paths: of a block and a path at one place an opening takes the path for one that cannot be read.
        _metadata.Add(_table.Offset, VhdFormat.AlignUp(_table.Count * sizeof(uint), VhdFormat.Sector));
    }

    private void VisitPlace(long block, long place)
    {
        if (_metadata.NextFrom(place) is FileRange taken && taken.Start < place + _blocks.PlaceLength)
        {
            Lose("metadata", block, "{0} are said to be where the file's own structures are");
        }
        else if (place < _owner.End)
        {
            Lose("overlap", block, "{0} are said to be where another block is");
            _doubtful[(int)_owner.Block] = true;
        }
        else
        {
            // Only the last one in the file can be cut: whoever begins in front of it ends there.
            _owner = (place + _blocks.PlaceLength, block);
            if (place > _end - _blocks.BitmapLength - _blocks.UsedLength(block))
                _cut = (block, place);
        }
    }

    private async ValueTask ApplyAsync(CancellationToken cancellationToken)
    {
        foreach (var (problem, blocks) in _gaveWay.Values)
        {
            // In the order of the disk, however their places are ordered.
            AddRuns(blocks, problem.Lost, cancellationToken);
            problem.Tell(_work);
        }

        if (_work.Options.Lossy)
            await ClearLostAsync(cancellationToken).ConfigureAwait(false);
        TellKept(In(_doubtful), "{0} were at a place that others claimed too", "they keep it; whether the bytes there are theirs cannot be told", static _ => 0);
        TellKept(_cut.Block < 0 ? [] : [_cut.Block], "{0} are only in part in front of the end of the blocks", "the missing part reads as zeroes from now on",
            _ => Math.Max(0, _end - _cut.Place - _blocks.BitmapLength));
        if (_work.Options.Lossy && _cut.Block >= 0)
            _grownEnd = _cut.Place + _blocks.PlaceLength;
    }

    private async ValueTask ClearLostAsync(CancellationToken cancellationToken)
    {
        var piece = new byte[EntriesPerWrite * sizeof(uint)];
        for (var first = 0; first < _lost.Count; first += EntriesPerWrite)
        {
            var part = piece.AsMemory(0, Math.Min(EntriesPerWrite, _lost.Count - first) * sizeof(uint));
            await _work.File.ReadAsync(_table.OffsetOf(first), part, cancellationToken).ConfigureAwait(false);
            var changed = false;
            for (var index = 0; index < part.Length / sizeof(uint); index++)
            {
                if (!_lost[first + index])
                    continue;
                part.Span.Slice(index * sizeof(uint), sizeof(uint)).Fill(0xff);
                changed = true;
            }

            if (changed)
                await _work.File.WriteAsync(_table.OffsetOf(first), part, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Neighbours at once: a table that lies may have millions of them.</summary>
    private void AddRuns(BitArray blocks, LostRanges ranges, CancellationToken cancellationToken)
    {
        for (var first = 0; first < blocks.Count; first++)
        {
            if (!blocks[first])
                continue;
            cancellationToken.ThrowIfCancellationRequested();
            var last = first;
            while (last + 1 < blocks.Count && blocks[last + 1])
                last++;
            ranges.Add(_blocks.StartOf(first), _blocks.StartOf(last) + _blocks.UsedLength(last) - _blocks.StartOf(first));
            first = last;
        }
    }

    private static IEnumerable<long> In(BitArray blocks)
    {
        for (var block = 0; block < blocks.Count; block++)
        {
            if (blocks[block])
                yield return block;
        }
    }

    private void TellKept(IEnumerable<long> kept, string problem, string action, Func<long, long> there)
    {
        TableProblem? noted = null;
        foreach (var block in kept)
        {
            noted ??= new TableProblem(_table.OffsetOf(block), $"block {block}", problem, action, isLoss: true);
            noted.Count++;
            noted.Lost.Add(_blocks.StartOf(block) + there(block), _blocks.UsedLength(block) - there(block));
        }

        noted?.Tell(_work);
    }

    private void Lose(string key, long block, string problem)
    {
        if (!_gaveWay.TryGetValue(key, out var gaveWay))
        {
            gaveWay = (new TableProblem(_table.OffsetOf(block), $"block {block}", problem, _gone, isLoss: true), new BitArray((int)_table.Count));
            _gaveWay.Add(key, gaveWay);
        }

        gaveWay.Problem.Count++;
        gaveWay.Blocks[(int)block] = true;
        _lost[(int)block] = true;
    }
}
