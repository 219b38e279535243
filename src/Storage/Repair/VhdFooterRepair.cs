using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Finds the footer that rules and says what has to be done about it. A fixed disk's is put right at once; that of
/// another one is written last, when the block table tells where.</summary>
/// <remarks>VHD specification 1.0, "Hard Disk Footer Format".</remarks>
internal static class VhdFooterRepair
{
    /// <summary>Finds the footer.</summary>
    /// <returns>It, or null when none can be found or made.</returns>
    public static async ValueTask<VhdFooters?> RunAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var findings = VhdxFindings.Collecting(work.File);
        VhdFooters footers;
        try
        {
            footers = await VhdFooters.ReadAsync(work.File, findings, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException none) when (none.Kind == StorageErrorKind.Corrupt)
        {
            return await VhdLostFooterRepair.RunAsync(work, none, cancellationToken).ConfigureAwait(false);
        }

        if (footers.Current.Kind == VhdKind.Fixed)
            return await PlaceFixedAsync(work, footers, cancellationToken).ConfigureAwait(false);
        if (!footers.IsInPlace)
            work.Mended(footers.End, Said(findings, footers.End) ?? "the footer is not a whole last sector", "it is written again behind the last block; what is behind that is cut off");
        if (!footers.HasCopy)
            work.Mended(0, Said(findings, 0) ?? "the copy of the footer at the start of the file differs", "it is written again from the footer");
        return footers;
    }

    private static string? Said(VhdxFindings findings, long offset) =>
        findings.All.FirstOrDefault(finding => finding.Offset == offset)?.Message;

    private static async ValueTask<VhdFooters> PlaceFixedAsync(RepairWork work, VhdFooters footers, CancellationToken cancellationToken)
    {
        if (footers.IsInPlace)
            return footers;
        var surplus = work.File.Length - footers.End - VhdFormat.FooterLength;
        await work.File.WriteAsync(footers.End, footers.Current.ToBytes(), cancellationToken).ConfigureAwait(false);
        await work.File.SetLengthAsync(footers.End + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
        if (surplus > 0)
            work.Mended(footers.End, $"{surplus} bytes are behind the footer: the file was being made larger when that was interrupted", "they are cut off");
        else
            work.Mended(footers.End, "the footer has 511 bytes, as old versions of Virtual PC wrote it", "it gets its last byte");
        return footers with { IsInPlace = true };
    }
}
