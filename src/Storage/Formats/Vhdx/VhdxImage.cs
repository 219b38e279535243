using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Everything an open reads, checked.</summary>
/// <param name="File">The file, or a view of it with the log applied.</param>
/// <param name="Headers">Its headers.</param>
/// <param name="Regions">Where table and metadata are.</param>
/// <param name="Metadata">What the disk is.</param>
/// <param name="Table">Where the blocks are.</param>
/// <param name="Layout">Who owns which part of the file.</param>
internal sealed record VhdxImage(
    IStorageFile File, VhdxHeaders Headers, VhdxRegionTable Regions, VhdxMetadata Metadata, BlockAllocationTable Table, VhdxLayout Layout)
{
    /// <summary>Reads an image in the order the format asks for: headers, log, and only then the rest.</summary>
    public static async ValueTask<VhdxImage> OpenAsync(
        IStorageFile file, bool readOnly, Func<Guid> newGuid, VhdxFindings findings, CancellationToken cancellationToken)
    {
        await CheckSignatureAsync(file, cancellationToken).ConfigureAwait(false);
        var headers = await VhdxHeaders.ReadAsync(file, findings, cancellationToken).ConfigureAwait(false);
        if (headers.Current.HasLog)
        {
            findings.Information(headers.Current.LogOffset, "the log holds changes that are not in their places yet; opening for writing applies them");
            if (readOnly)
                file = await VhdxLogReplay.OverlayAsync(file, headers.Current, cancellationToken).ConfigureAwait(false);
            else
                await VhdxLogReplay.ApplyAsync(file, headers, newGuid(), cancellationToken).ConfigureAwait(false);
        }

        var regions = await VhdxRegionTable.ReadAsync(file, headers.Current, findings, cancellationToken).ConfigureAwait(false);
        var metadata = await VhdxMetadata.ReadAsync(file, regions.Metadata, cancellationToken).ConfigureAwait(false);
        var geometry = new VhdxGeometry(metadata.DiskSize, metadata.BlockSize);
        var table = await BlockAllocationTable.LoadAsync(file, regions.Bat, geometry, cancellationToken).ConfigureAwait(false);
        var layout = VhdxLayout.Examine(file, headers.Current, regions, table, findings);
        return new VhdxImage(file, headers, regions, metadata, table, layout);
    }

    private static async ValueTask CheckSignatureAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var signature = new byte[VhdxFormat.FileSignature.Length];
        if (file.Length >= signature.Length)
            await file.ReadAsync(0, signature, cancellationToken).ConfigureAwait(false);
        if (!VhdxFormat.FileSignature.SequenceEqual(signature))
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                "this is not a VHDX file (\"vhdxfile\" is missing), or its creation was never finished", file.Path, 0, "open");
        }

        if (file.Length < VhdxFormat.HeaderSectionEnd)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"the file ends after {file.Length} bytes, inside the header section of 1 MiB", file.Path, file.Length, "open");
        }
    }
}
