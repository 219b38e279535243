using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What an open reads before the table.</summary>
/// <param name="File">The file, or a view of it with the log applied.</param>
/// <param name="Headers">Its headers.</param>
/// <param name="Regions">Where table and metadata are.</param>
/// <param name="Metadata">What the disk is.</param>
internal sealed record VhdxFront(IStorageFile File, VhdxHeaders Headers, VhdxRegionTable Regions, VhdxMetadata Metadata);

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
    /// <summary>The log of a killed process, which is to be continued; null when there was none or it has been replayed.</summary>
    public VhdxLogLeft? Left { get; private init; }

    /// <summary>Pages of <see cref="Left"/> that are of sector bitmaps, by their number over all bitmaps of the disk.</summary>
    public IReadOnlyDictionary<long, VhdxLogLeft.Page> LeftBitmaps { get; private init; } = new Dictionary<long, VhdxLogLeft.Page>();

    /// <summary>Like <see cref="OpenAsync"/> for writing, but a log of a killed process that can be continued is left as it is, and nothing is
    /// written.</summary>
    public static async ValueTask<VhdxImage> ContinueAsync(IStorageFile file, VhdxOpenOptions options, CancellationToken cancellationToken)
    {
        var findings = VhdxFindings.Strict(file);
        VhdxImage? image = null;
        try
        {
            image = await TryContinueAsync(file, options, findings, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException failure) when (failure.Kind == StorageErrorKind.Corrupt)
        {
            // What is wrong may be what a replay puts right; else it says the same.
        }

        return image ?? await OpenAsync(file, readOnly: false, options, findings, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads an image in the order the format asks for: headers, log, and only then the rest.</summary>
    public static async ValueTask<VhdxImage> OpenAsync(
        IStorageFile file, bool readOnly, VhdxOpenOptions options, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var front = await OpenFrontAsync(file, readOnly, options, findings, cancellationToken).ConfigureAwait(false);
        return await OpenTableAsync(front, null, options, findings, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<VhdxImage?> TryContinueAsync(
        IStorageFile file, VhdxOpenOptions options, VhdxFindings findings, CancellationToken cancellationToken)
    {
        await CheckSignatureAsync(file, cancellationToken).ConfigureAwait(false);
        var headers = await VhdxHeaders.ReadAsync(file, findings, cancellationToken).ConfigureAwait(false);
        if (await VhdxLogLeft.ReadAsync(file, headers.Current, options.BootId, cancellationToken).ConfigureAwait(false) is not VhdxLogLeft left)
            return null;
        var front = await ReadFrontAsync(file, headers, readOnly: true, findings, cancellationToken).ConfigureAwait(false);
        if (front.Regions.CopiesDiffer || !left.IsWithin(front.Regions))
            return null;
        var image = await OpenTableAsync(front, left, options, findings, cancellationToken).ConfigureAwait(false);
        var bitmaps = await FindBitmapsAsync(image, left, cancellationToken).ConfigureAwait(false);
        return bitmaps is null ? null : image with { Left = left, LeftBitmaps = bitmaps };
    }

    private static async ValueTask<VhdxImage> OpenTableAsync(
        VhdxFront front, VhdxLogLeft? left, VhdxOpenOptions options, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var table = await BlockAllocationTable.OpenAsync(
            front.File, front.Regions.Bat, front.Metadata.ToGeometry(), options.TablePages, left, cancellationToken).ConfigureAwait(false);
        var layout = new VhdxLayout(front.File, front.Headers.Current, front.Regions, table, findings);
        if (table.WasReadWhole || findings.Collects)
            await layout.ExamineAsync(cancellationToken).ConfigureAwait(false);
        else
            await layout.WatchAsync(cancellationToken).ConfigureAwait(false);
        return new VhdxImage(front.File, front.Headers, front.Regions, front.Metadata, table, layout);
    }

    /// <summary>Reads what tells what the image is: all but the table.</summary>
    public static async ValueTask<VhdxFront> OpenFrontAsync(
        IStorageFile file, bool readOnly, VhdxOpenOptions options, VhdxFindings findings, CancellationToken cancellationToken)
    {
        await CheckSignatureAsync(file, cancellationToken).ConfigureAwait(false);
        var headers = await VhdxHeaders.ReadAsync(file, findings, cancellationToken).ConfigureAwait(false);
        if (headers.Current.HasLog)
            file = await ReplayAsync(file, headers, readOnly, options, findings, cancellationToken).ConfigureAwait(false);
        return await ReadFrontAsync(file, headers, readOnly, findings, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<VhdxFront> ReadFrontAsync(
        IStorageFile file, VhdxHeaders headers, bool readOnly, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var regions = await VhdxRegionTable.ReadAsync(file, headers.Current, findings, cancellationToken).ConfigureAwait(false);
        if (regions.CopiesDiffer && !readOnly)
            await regions.HealAsync(file, cancellationToken).ConfigureAwait(false);
        var metadata = await VhdxMetadata.ReadAsync(file, regions.Metadata, cancellationToken).ConfigureAwait(false);
        return new VhdxFront(file, headers, regions, metadata);
    }

    /// <summary>The pages of a log that are not of the table, as pages of sector bitmaps; null when one is neither.</summary>
    private static async ValueTask<Dictionary<long, VhdxLogLeft.Page>?> FindBitmapsAsync(
        VhdxImage image, VhdxLogLeft left, CancellationToken cancellationToken)
    {
        var bat = image.Regions.Bat;
        var others = left.Pages.Where(page => page.Key < bat.Offset || page.Key >= bat.End).ToDictionary();
        var found = new Dictionary<long, VhdxLogLeft.Page>();
        var geometry = image.Table.Geometry;
        for (long chunk = 0; geometry.HasParent && chunk < geometry.ChunkCount && found.Count < others.Count; chunk++)
        {
            var entry = await image.Table.GetEntryAsync(geometry.BitmapEntryOf(chunk), cancellationToken).ConfigureAwait(false);
            if (entry.State != BlockState.FullyPresent)
                continue;
            for (var page = 0; page < SectorBitmaps.PagesPerChunk; page++)
            {
                if (others.TryGetValue(entry.Offset + ((long)page * VhdxFormat.PageSize), out var logged))
                    found[(chunk * SectorBitmaps.PagesPerChunk) + page] = logged;
            }
        }

        return found.Count == others.Count ? found : null;
    }

    /// <summary>Applies the log to the file, or returns a view of the file with the log applied.</summary>
    private static async ValueTask<IStorageFile> ReplayAsync(
        IStorageFile file, VhdxHeaders headers, bool readOnly, VhdxOpenOptions options, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var log = headers.Current.LogOffset;
        var overlay = readOnly
            ? await VhdxLogReplay.OverlayAsync(file, headers.Current, options.BootId, cancellationToken).ConfigureAwait(false)
            : null;
        var isReplayed = readOnly
            ? overlay is not null
            : await VhdxLogReplay.ApplyAsync(file, headers, options.BootId, options.NewGuid(), cancellationToken).ConfigureAwait(false);
        if (isReplayed)
        {
            findings.Information(log, "the log holds changes that are not in their places yet; opening for writing applies them");
            return overlay ?? file;
        }

        findings.Warning(log,
            "the header names a log that has no entry, as QEMU leaves it when it is killed before it writes the first one;"
            + " nothing is lost, and the first change of the disk ends that");
        headers.ForgetLog();
        return file;
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
