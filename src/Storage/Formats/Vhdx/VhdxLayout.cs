using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Who owns which part of the file: checks that nothing overlaps and finds what nobody owns.</summary>
/// <remarks>[MS-VHDX] section 2.5.1: a block lies behind the header section and must not overlap any other structure.
/// The memory it takes depends on the length of the file, 8 MiB for 64 TiB, not on what the table says.</remarks>
internal sealed class VhdxLayout
{
    // Blocks whose place is taken; who has it is found by going through the table once more.
    private const int MaxCollisions = 1000;

    private readonly IStorageFile _file;
    private readonly BlockAllocationTable _table;
    private readonly VhdxGeometry _geometry;
    private readonly VhdxRegion _batRegion;
    private readonly VhdxFindings _findings;
    private readonly List<FileRange> _fixed = [];
    private readonly FileClaims _claims = new();
    private readonly Dictionary<long, Collision> _collisions = [];

    // By chunk: a partially present block and whether there is a bitmap. A disk has 16,384 chunks at most.
    private readonly Dictionary<long, long> _partial = [];
    private readonly HashSet<long> _bitmaps = [];
    private bool _hasAnchored;

    public VhdxLayout(IStorageFile file, VhdxHeader header, VhdxRegionTable regions, BlockAllocationTable table, VhdxFindings findings)
    {
        _file = file;
        _table = table;
        _geometry = table.Geometry;
        _batRegion = regions.Bat;
        _findings = findings;
        _fixed.Add(new FileRange(0, VhdxFormat.HeaderSectionEnd));
        _fixed.Add(new FileRange(header.LogOffset, header.LogLength));
        foreach (var region in regions.Regions)
            _fixed.Add(new FileRange(region.Offset, region.Length));
        foreach (var range in _fixed)
            _claims.Claim(range.Start, range.Length);
    }

    /// <summary>What is not in the table: header section, log and regions.</summary>
    public IReadOnlyList<FileRange> Fixed => _fixed;

    /// <summary>Blocks with a place in the file.</summary>
    public long PresentBlocks { get; private set; }

    /// <summary>Behind everything that is owned: the end of the file, or of a last block that is cut there.</summary>
    public long End => Math.Max(VhdxFormat.AlignUp(_file.Length, VhdxFormat.MiB), _claims.LastEnd());

    /// <summary>Bytes nobody owns, in whole MiB.</summary>
    public long FreeBytes { get; private set; }

    /// <summary>What nobody owns, in whole MiB, in order; the end of the file is not included. Empty when the table was not
    /// read whole: what is not known to be free is not used.</summary>
    public List<FileRange> Gaps { get; } = [];

    /// <summary>Leaves it to the table to examine its pages when they are loaded. Quick, whatever the size of the table. Of the blocks only
    /// the last one is looked at: it may be cut at the end of the file.</summary>
    public async ValueTask WatchAsync(CancellationToken cancellationToken)
    {
        _table.Watch(_claims);
        await _table.GetAsync(_geometry.BlockCount - 1, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Examines the whole table.</summary>
    public async ValueTask ExamineAsync(CancellationToken cancellationToken)
    {
        await _table.ForEachUsedAsync(Visit, cancellationToken).ConfigureAwait(false);
        if (_collisions.Count > 0)
            await TellCollisionsAsync(cancellationToken).ConfigureAwait(false);

        foreach (var (chunk, index) in _partial)
        {
            if (!_bitmaps.Contains(chunk))
                _findings.Error(EntryOffset(index), $"{BatEntryRules.NameOf(_geometry, index)} is partially present but its chunk has no sector bitmap");
        }

        // After the blocks, because an absent block's offset is no claim against a present one's: nobody reads these bytes.
        if (_hasAnchored)
            await _table.ForEachUsedAsync(ClaimAnchored, cancellationToken).ConfigureAwait(false);
        FindGaps();
    }

    private long ChunkOf(long index) => index / (_geometry.ChunkRatio + 1);

    private long EntryOffset(long entry) => _batRegion.Offset + (entry * sizeof(ulong));

    private void Visit(long index, BatEntry entry)
    {
        if (entry.ReservedBits != 0)
            _findings.Warning(EntryOffset(index), $"the entry {entry.Raw:x16} of the block allocation table has reserved bits set");
        if (BatEntryRules.ProblemOf(_geometry, index, entry, _file.Length) is string problem)
            _findings.Error(EntryOffset(index), problem);
        else if (BatEntryRules.OwnedLength(_geometry, index, entry) is > 0 and var length)
            VisitPresent(index, entry, length);
        else if (_geometry.IsBitmapEntry(index))
            VisitBitmap(index, entry);
        else if (_geometry.IsBehindEnd(index))
            VisitAnchored(index, "the block allocation table has an entry behind the end of the disk");
        else
            VisitAbsent(index, entry);
    }

    private void VisitPresent(long index, BatEntry entry, long length)
    {
        var name = BatEntryRules.NameOf(_geometry, index);
        if (entry.Offset > _file.Length - length)
            _findings.Information(EntryOffset(index), $"{name}, the last one, is cut at the end of the file; all bytes of the disk are there");
        if (_geometry.IsBitmapEntry(index))
            _bitmaps.Add(ChunkOf(index));
        else
            PresentBlocks++;
        if (entry.State == BlockState.PartiallyPresent)
            _partial.TryAdd(ChunkOf(index), index);
        if (!_claims.TryClaim(entry.Offset, length, out var taken) && _collisions.Count < MaxCollisions)
            _collisions.TryAdd(taken, new Collision(index, entry.Offset));
    }

    private void VisitBitmap(long index, BatEntry entry)
    {
        if (!_geometry.HasParent && entry.State != BlockState.NotPresent)
            _findings.Warning(EntryOffset(index), $"a sector bitmap entry has state {(int)entry.State} though the disk has no parent");
        if (entry.RawOffset != 0)
            VisitAnchored(index, "a sector bitmap that is not present has an offset");
    }

    private void VisitAbsent(long index, BatEntry entry)
    {
        var block = _geometry.BlockOf(index);
        if (entry.State == BlockState.UnmappedInDrafts)
            _findings.Warning(EntryOffset(index), $"block {block} has state 5, which only drafts of the format used; read as unmapped");
        if (entry.RawOffset != 0)
            VisitAnchored(index, $"block {block} is not present (state {(int)entry.State}) but has an offset");
    }

    /// <summary>Another program may take such an offset as still reserved for the block, so the space is not free for us.</summary>
    private void VisitAnchored(long index, string message)
    {
        _findings.Warning(EntryOffset(index), message);
        _hasAnchored = true;
    }

    private void ClaimAnchored(long index, BatEntry entry)
    {
        if (BatEntryRules.OwnedLength(_geometry, index, entry) == 0 && entry.RawOffset != 0 && entry.RawOffset < (ulong)_file.Length)
            _claims.Claim(entry.Offset, _geometry.IsBitmapEntry(index) ? VhdxFormat.MiB : _geometry.BlockSize);
    }

    private async ValueTask TellCollisionsAsync(CancellationToken cancellationToken)
    {
        var owners = new Dictionary<long, long>();
        await _table.ForEachUsedAsync(FindOwner, cancellationToken).ConfigureAwait(false);
        foreach (var (taken, collision) in _collisions)
        {
            var other = owners.TryGetValue(taken, out var owner) ? BatEntryRules.NameOf(_geometry, owner) : "a region or the log";
            _findings.Error(EntryOffset(collision.Index),
                $"{BatEntryRules.NameOf(_geometry, collision.Index)} at {collision.Start} overlaps {other} at {taken}");
        }

        void FindOwner(long index, BatEntry entry)
        {
            var end = entry.Offset + BatEntryRules.OwnedLength(_geometry, index, entry);
            for (var at = entry.Offset; at < end; at += VhdxFormat.MiB)
            {
                if (_collisions.TryGetValue(at, out var collision) && collision.Index != index)
                    owners.TryAdd(at, index);
            }
        }
    }

    private void FindGaps()
    {
        for (var gap = _claims.NextGap(0, _file.Length); gap.Length > 0; gap = _claims.NextGap(gap.End, _file.Length))
        {
            FreeBytes += gap.Length;
            if (_table.WasReadWhole)
                Gaps.Add(gap);
        }

        // Writers add whole MiB; what else is behind the last block was not put there by one.
        var rest = _file.Length % VhdxFormat.MiB;
        if (rest > 0 && _file.Length < VhdxFormat.MaxFileLength && _findings.Collects
            && _claims.NextGap(_file.Length - rest, _file.Length - rest + VhdxFormat.MiB).Length > 0)
        {
            _findings.Warning(_file.Length - rest, $"the last {rest} bytes of the file belong to nothing and are not whole MiB");
        }
    }

    /// <summary>A block whose place belongs to somebody already.</summary>
    private readonly record struct Collision(long Index, long Start);
}
