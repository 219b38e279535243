using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Examines an image and lists everything that is wrong with it.</summary>
public static class VhdCheck
{
    /// <summary>Checks both footers, the dynamic header, the parent locators and every entry of the block table.</summary>
    /// <param name="file">The image; only read, and it stays the caller's. Nobody else writes it meanwhile.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>All findings. Damage that makes the rest unreadable is the last error of the list.</returns>
    /// <exception cref="StorageException">The file could not be read; damage is a finding, not an exception.</exception>
    public static async ValueTask<CheckReport> RunAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var findings = VhdxFindings.Collecting(file);
        long total = 0;
        long present = 0;
        try
        {
            var image = await VhdExamination.RunAsync(file, findings, cancellationToken).ConfigureAwait(false);
            if (image.Sparse is VhdExaminedBlocks sparse)
            {
                total = sparse.Blocks.Count;
                present = sparse.Layout.PresentBlocks;
                ReportGaps(sparse, findings);
            }
            else if (image.Footers.End > image.DiskSize)
            {
                findings.Information(image.DiskSize, $"{image.Footers.End - image.DiskSize} bytes between the disk and its footer belong to nothing");
            }
        }
        catch (StorageException damage) when (damage.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            findings.Error(damage.Offset, damage.Reason);
        }

        return new CheckReport(findings.All, findings.Errors, findings.Warnings, total, present);
    }

    private static void ReportGaps(VhdExaminedBlocks sparse, VhdxFindings findings)
    {
        long free = 0;
        foreach (var gap in sparse.Layout.Gaps)
            free += gap.Length >= sparse.Blocks.PlaceLength ? gap.Length : 0;
        if (free > 0)
            findings.Information(null, $"{free} bytes of the file belong to nothing; new blocks will use them");
    }
}
