using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Examines an image and lists everything that is wrong with it.</summary>
public static class VhdxCheck
{
    /// <summary>Checks headers, log, region table, metadata and every entry of the block allocation table.</summary>
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
            var image = await VhdxImage.OpenAsync(file, readOnly: true, new VhdxOpenOptions(), findings, cancellationToken).ConfigureAwait(false);
            total = image.Table.Geometry.BlockCount;
            present = image.Layout.PresentBlocks;
            if (image.Layout.FreeBytes is > 0 and var free)
                findings.Information(null, $"{free} bytes of the file belong to nothing; new blocks will use them");
        }
        catch (StorageException damage) when (damage.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            findings.Error(damage.Offset, damage.Reason);
        }

        return new CheckReport(findings.All, findings.Errors, findings.Warnings, total, present);
    }
}
