using Godwit.Storage;

namespace Godwit.Fuzz.Engine;

/// <summary>Pieces of a disk, spread over its extents, to compare openings with each other.</summary>
internal sealed class DiskContent
{
    private const int PieceLength = 4096;
    private const int MaxExtents = 24;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly SortedDictionary<long, byte[]> _pieces = [];
    private readonly long _length;
    private readonly int _sector;

    private DiskContent(BlockDevice disk)
    {
        _length = disk.Length;
        _sector = disk.Capabilities.SectorSize;
    }

    /// <summary>Walks the extents from the start and reads around each edge, and the end of the disk.</summary>
    public static async ValueTask<DiskContent> SurveyAsync(BlockDevice disk)
    {
        var content = new DiskContent(disk);
        var at = 0L;
        for (var count = 0; count < MaxExtents && at < disk.Length; count++)
        {
            var extent = await disk.GetExtentAsync(at, disk.Length - at, None);
            if (extent.Offset != at || extent.Length <= 0 || extent.Length > disk.Length - at || extent.Length % content._sector != 0)
                throw new FuzzFinding($"asked for {disk.Length - at} bytes at {at} the disk answers with {extent}");
            await content.AddAsync(disk, extent.Offset, extent);
            await content.AddAsync(disk, extent.End - content._sector, extent);
            at = extent.End;
        }

        await content.AddAsync(disk, disk.Length - content._sector, null);
        await content.AddAsync(disk, disk.Length / 2 / content._sector * content._sector, null);
        return content;
    }

    /// <summary>Reads every piece again.</summary>
    public async ValueTask<bool> MustBeOnAsync(BlockDevice disk, string who)
    {
        if (disk.Length < _length)
            throw new FuzzFinding($"{who} sees {disk.Length} bytes instead of {_length}");
        var buffer = new byte[PieceLength];
        foreach (var (offset, piece) in _pieces)
        {
            await disk.ReadAsync(offset, buffer.AsMemory(0, piece.Length), None);
            var same = buffer.AsSpan().CommonPrefixLength(piece);
            if (same < piece.Length)
                throw new FuzzFinding($"{who} reads something else at {offset + same}");
        }

        return true;
    }

    /// <summary>Writes, zeroes, trims, grows and flushes, and keeps the pieces in step with what that must have done.</summary>
    public async ValueTask<bool> ChangeAsync(BlockDevice disk)
    {
        var places = _pieces.Keys.ToArray();
        var bytes = new byte[PieceLength];
        new Random(places.Length).NextBytes(bytes);
        foreach (var place in new[] { places[0], places[^1], places[places.Length / 3] })
        {
            var part = bytes.AsMemory(0, (int)Math.Min(bytes.Length, _length - place));
            await disk.WriteAsync(place, part, place == 0 ? WriteFlags.ForceUnitAccess : WriteFlags.None, None);
            Overlay(place, part.Length, part);
        }

        var middle = places[places.Length / 2] >> 20 << 20;
        var length = Math.Min(2 << 20, _length - middle);
        await disk.TrimAsync(middle, length, None);
        if (disk.Capabilities.Trim == TrimResult.Zeroes)
            Overlay(middle, length, default);
        var zeroed = places[^Math.Min(2, places.Length)];
        await disk.WriteZeroesAsync(zeroed, _sector, WriteFlags.None, None);
        Overlay(zeroed, _sector, default);
        await disk.FlushAsync(None);
        if (disk.Capabilities.CanResize)
            await TryGrowAsync(disk);
        return true;
    }

    private async ValueTask TryGrowAsync(BlockDevice disk)
    {
        try
        {
            await disk.ResizeAsync(_length + (1 << 20), None);
        }
        catch (StorageException error) when (error.Kind is StorageErrorKind.Unsupported or StorageErrorKind.InvalidRequest)
        {
            // No room in a table, or at the format's limit: said before anything has changed.
            return;
        }

        var grown = new byte[_sector];
        await disk.ReadAsync(disk.Length - _sector, grown, None);
        if (grown.AsSpan().ContainsAnyExcept((byte)0))
            throw new FuzzFinding("space that was just added is not zero");
    }

    private async ValueTask AddAsync(BlockDevice disk, long offset, Extent? extent)
    {
        var piece = GC.AllocateUninitializedArray<byte>((int)Math.Min(PieceLength, disk.Length - offset));
        await disk.ReadAsync(offset, piece, None);
        if (extent is { ReadsAsZeroes: true } zeroes
            && piece.AsSpan(0, (int)Math.Min(piece.Length, zeroes.End - offset)).ContainsAnyExcept((byte)0))
        {
            throw new FuzzFinding($"{zeroes.Kind} at {offset} does not read as zeroes");
        }

        _pieces[offset] = piece;
    }

    /// <summary>Shows a change of the disk in every piece it reaches; no bytes for zeroes.</summary>
    private void Overlay(long offset, long length, ReadOnlyMemory<byte> bytes)
    {
        foreach (var (at, piece) in _pieces)
        {
            var from = Math.Max(at, offset);
            var to = Math.Min(at + piece.Length, offset + length);
            if (from >= to)
                continue;
            var part = piece.AsSpan((int)(from - at), (int)(to - from));
            if (bytes.IsEmpty)
                part.Clear();
            else
                bytes.Span.Slice((int)(from - offset), part.Length).CopyTo(part);
        }
    }
}
