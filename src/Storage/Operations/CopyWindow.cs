using Godwit.Storage.Files;

namespace Godwit.Storage.Operations;

/// <summary>A part of a device on its way from the source to the target.</summary>
internal sealed class CopyWindow
{
    /// <summary>Bytes of a whole window; it begins at a multiple of them, so the blocks of any format lie in it whole or it in them.</summary>
    public const int Size = 4 << 20;

    // The unit in which zeroes inside data are left out: small enough to keep a raw file sparse, large enough that
    // writes stay few.
    private const int PieceBytes = 64 << 10;

    // Aligned, so that it can go to the disk without the page cache.
    private readonly Memory<byte> _bytes = AlignedMemory.Allocate(Size);
    private readonly List<(int Start, int Length)> _parts = [];

    /// <summary>First byte on the device.</summary>
    public long Offset { get; private set; }

    /// <summary>The byte after the last one.</summary>
    public long End { get; private set; }

    /// <summary>Bytes that were read.</summary>
    public long DataBytes { get; private set; }

    /// <summary>Fills the window from an offset to the next multiple of its size, or to an end.</summary>
    public async ValueTask FillAsync(PaddedDisk source, long offset, long end, CancellationToken cancellationToken)
    {
        Offset = offset;
        End = Math.Min((offset & -(long)Size) + Size, end);
        DataBytes = 0;
        _parts.Clear();
        for (var at = offset; at < End;)
        {
            var run = await source.GetExtentAsync(at, cancellationToken).ConfigureAwait(false);
            var length = (int)(Math.Min(run.End, End) - at);
            if (!run.ReadsAsZeroes)
            {
                await source.ReadAsync(at, Place(at, length), cancellationToken).ConfigureAwait(false);
                NoteData((int)(at - Offset), length);
                DataBytes += length;
            }

            at += length;
        }
    }

    /// <summary>Writes what is not zero.</summary>
    /// <param name="target">Reads as zeroes wherever nothing was copied to.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask WriteAsync(BlockDevice target, CancellationToken cancellationToken)
    {
        foreach (var (start, length) in _parts)
        {
            // The last granule may reach behind the target's end, where there is nothing to write.
            var inside = (int)Math.Min(length, target.Length - (Offset + start));
            await target.WriteAsync(Offset + start, _bytes.Slice(start, inside), WriteFlags.None, cancellationToken).ConfigureAwait(false);
        }
    }

    private Memory<byte> Place(long at, int length) => _bytes.Slice((int)(at - Offset), length);

    /// <summary>Remembers the pieces that are not zero; neighbours are one part, also over the border of two runs.</summary>
    private void NoteData(int start, int length)
    {
        for (var end = start + length; start < end;)
        {
            var piece = (int)Math.Min(PieceBytes - ((Offset + start) % PieceBytes), end - start);
            if (_bytes.Span.Slice(start, piece).ContainsAnyExcept((byte)0))
                AddPart(start, piece);
            start += piece;
        }
    }

    private void AddPart(int start, int length)
    {
        if (_parts.Count > 0 && _parts[^1] is var last && last.Start + last.Length == start)
            _parts[^1] = (last.Start, last.Length + length);
        else
            _parts.Add((start, length));
    }
}
