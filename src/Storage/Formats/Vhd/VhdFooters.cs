using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>The footer that rules, and where it was found.</summary>
/// <param name="Current">The footer.</param>
/// <param name="End">Where the disk's own bytes end: the footer's offset, or the file's length when there is no footer.</param>
/// <param name="IsInPlace">A whole footer is the last sector of the file.</param>
/// <param name="HasCopy">The first sector of the file says the same.</param>
internal sealed record VhdFooters(VhdFooter Current, long End, bool IsInPlace, bool HasCopy)
{
    /// <summary>Finds the footer at the end of the file, the copy at its start, or what an interrupted growth left.</summary>
    /// <exception cref="StorageException">Corrupt: there is none.</exception>
    public static async ValueTask<VhdFooters> ReadAsync(IStorageFile file, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var tail = new byte[Math.Min(file.Length, VhdFormat.FooterLength)];
        await file.ReadAsync(file.Length - tail.Length, tail, cancellationToken).ConfigureAwait(false);
        var last = VhdFooter.TryParse(tail, out var problem);
        var end = file.Length - tail.Length;
        var inPlace = last is not null && tail.Length == VhdFormat.FooterLength && end % VhdFormat.Sector == 0;
        if (last is null && tail.Length > VhdFormat.ShortFooterLength
            && VhdFooter.TryParse(tail.AsSpan(tail.Length - VhdFormat.ShortFooterLength), out _) is VhdFooter shorter)
        {
            (last, end) = (shorter, end + 1);
            findings.Information(end, "the footer has 511 bytes, as old versions of Virtual PC wrote it");
        }

        var first = new byte[Math.Min(file.Length, VhdFormat.FooterLength)];
        await file.ReadAsync(0, first, cancellationToken).ConfigureAwait(false);
        var copy = VhdFooter.TryParse(first, out var copyProblem);
        if (last is not null)
        {
            Compare(last, copy, copyProblem, findings);
            return new VhdFooters(last, end, inPlace, copy?.SameAs(last) == true);
        }

        if (copy is not null && copy.Kind != VhdKind.Fixed)
        {
            findings.Warning(end, $"the last sector is no footer ({problem}); the copy at the start of the file is used, and opening for writing repairs the end");
            return new VhdFooters(copy, file.Length, IsInPlace: false, HasCopy: true);
        }

        if (await VhdLostFooter.FindAsync(file, cancellationToken).ConfigureAwait(false) is VhdFooters lost)
        {
            findings.Warning(lost.End, "the file was being made larger when that was interrupted; opening for writing repairs its end");
            return lost;
        }

        throw new StorageException(StorageErrorKind.Corrupt,
            $"this is not a VHD file, or its end is missing: the last sector is no footer ({problem}), and the first one is no copy of it ({copyProblem})",
            file.Path, end, "open");
    }

    private static void Compare(VhdFooter last, VhdFooter? copy, string copyProblem, VhdxFindings findings)
    {
        if (last.Kind == VhdKind.Fixed)
            return;
        if (copy is null)
            findings.Warning(0, $"the copy of the footer at the start of the file is damaged ({copyProblem})");
        else if (!copy.SameAs(last))
            findings.Warning(0, "the copy of the footer at the start of the file differs from the footer at the end, which rules");
    }
}
