using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Which MiB of the file have an owner: one bit each, in pieces that exist only where something is. Not thread-safe.</summary>
/// <remarks>At most 32 MiB, for a file of <see cref="VhdxFormat.MaxFileLength"/>. Nothing is asked about what is behind that.</remarks>
internal sealed class FileClaims
{
    private const int WordShift = 6;
    private const int PieceShift = 15;
    private const int PieceMask = (1 << PieceShift) - 1;
    private readonly ulong[]?[] _pieces = new ulong[]?[VhdxFormat.MaxFileLength / VhdxFormat.MiB >> PieceShift];

    /// <summary>Takes a range when nobody has any of it; else takes nothing.</summary>
    /// <param name="start">A multiple of 1 MiB.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="taken">The first MiB that has an owner.</param>
    public bool TryClaim(long start, long length, out long taken)
    {
        var end = EndOf(start, length);
        for (taken = start; taken < end; taken += VhdxFormat.MiB)
        {
            if (IsClaimed(taken))
                return false;
        }

        Claim(start, length);
        return true;
    }

    /// <summary>Takes a range, whoever has it.</summary>
    public void Claim(long start, long length)
    {
        var end = EndOf(start, length);
        for (var at = start; at < end; at += VhdxFormat.MiB)
        {
            ref var piece = ref _pieces[at / VhdxFormat.MiB >> PieceShift];
            piece ??= new ulong[1 << (PieceShift - WordShift)];
            piece[WordOf(at)] |= BitOf(at);
        }
    }

    /// <summary>Gives a range back.</summary>
    public void Release(long start, long length)
    {
        var end = EndOf(start, length);
        for (var at = start; at < end; at += VhdxFormat.MiB)
        {
            if (_pieces[at / VhdxFormat.MiB >> PieceShift] is ulong[] piece)
                piece[WordOf(at)] &= ~BitOf(at);
        }
    }

    /// <summary>The first range from <paramref name="from"/> on that nobody has, up to <paramref name="end"/>; empty when there is none.</summary>
    public FileRange NextGap(long from, long end)
    {
        end = Math.Min(VhdxFormat.AlignDown(end, VhdxFormat.MiB), VhdxFormat.MaxFileLength);
        var start = Skip(from, end, claimed: true);
        return new FileRange(start, Skip(start, end, claimed: false) - start);
    }

    /// <summary>The end of the last MiB that has an owner; 0 when none has.</summary>
    public long LastEnd()
    {
        for (var index = _pieces.Length - 1; index >= 0; index--)
        {
            if (_pieces[index] is not ulong[] piece || piece.AsSpan().LastIndexOfAnyExcept(0UL) is not (>= 0 and var word))
                continue;
            var bit = System.Numerics.BitOperations.Log2(piece[word]);
            return (((long)index << PieceShift) + ((long)word << WordShift) + bit + 1) * VhdxFormat.MiB;
        }

        return 0;
    }

    private static long EndOf(long start, long length) => Math.Min(start + length, VhdxFormat.MaxFileLength);

    private static int WordOf(long at) => (int)((at / VhdxFormat.MiB & PieceMask) >> WordShift);

    private static ulong BitOf(long at) => 1UL << (int)(at / VhdxFormat.MiB);

    private bool IsClaimed(long at) =>
        _pieces[at / VhdxFormat.MiB >> PieceShift] is ulong[] piece && (piece[WordOf(at)] & BitOf(at)) != 0;

    /// <summary>Goes on while everything is claimed, or while nothing is.</summary>
    private long Skip(long at, long end, bool claimed)
    {
        const long Word = VhdxFormat.MiB << WordShift;
        const long Piece = VhdxFormat.MiB << PieceShift;
        while (at < end)
        {
            var piece = _pieces[at / Piece];
            if (piece is null && claimed)
                break;
            if (piece is null)
                at = VhdxFormat.AlignDown(at, Piece) + Piece;
            else if (piece[WordOf(at)] == (claimed ? ulong.MaxValue : 0))
                at = VhdxFormat.AlignDown(at, Word) + Word;
            else if (IsClaimed(at) == claimed)
                at += VhdxFormat.MiB;
            else
                break;
        }

        return Math.Min(at, end);
    }
}
