using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Repairs a VHDX, from the outside in: each structure is put right before the ones it leads to are looked at.</summary>
/// <remarks>[MS-VHDX] section 2: identifier, headers, log, region tables, metadata, block allocation table, free space.</remarks>
internal static class VhdxRepair
{
    /// <summary>Repairs the draft as far as possible.</summary>
    public static async ValueTask RunAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var file = work.File;
        if (file.Length < VhdxFormat.HeaderSectionEnd)
        {
            work.Impossible(file.Length, $"the file ends after {file.Length} bytes, inside the header section of 1 MiB",
                "nothing of the disk is in this file: take it from a backup or from another copy");
            return;
        }

        await MendIdentifierAsync(work, cancellationToken).ConfigureAwait(false);
        if (await VhdxHeaderRepair.RunAsync(work, cancellationToken).ConfigureAwait(false) is not VhdxHeaders headers)
            return;
        if (!await VhdxLogRepair.RunAsync(work, headers, cancellationToken).ConfigureAwait(false))
            return;
        if (await VhdxRegionRepair.RunAsync(work, headers.Current, cancellationToken).ConfigureAwait(false) is not VhdxRegionTable regions)
            return;
        if (await VhdxMetadataRepair.RunAsync(work, regions.Metadata, cancellationToken).ConfigureAwait(false) is not VhdxMetadata metadata)
            return;
        var table = new VhdxTableRepair(work, headers.Current, regions, metadata.ToGeometry());
        if (!await table.RunAsync(cancellationToken).ConfigureAwait(false))
            return;
        await CutGarbageAsync(work, table.UsedEnd, cancellationToken).ConfigureAwait(false);
        await RenewFileIdentityAsync(work, headers, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask MendIdentifierAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var signature = new byte[VhdxFormat.FileSignature.Length];
        await work.File.ReadAsync(0, signature, cancellationToken).ConfigureAwait(false);
        if (VhdxFormat.FileSignature.SequenceEqual(signature))
            return;
        await work.File.WriteAsync(0, VhdxFormat.FileSignature.ToArray(), cancellationToken).ConfigureAwait(false);
        work.Mended(0, "the file does not begin with \"vhdxfile\"", "the signature is written again");
    }

    /// <summary>Only what is not whole MiB cannot have been put there by a writer of the format; a free MiB is nothing wrong.</summary>
    private static async ValueTask CutGarbageAsync(RepairWork work, long usedEnd, CancellationToken cancellationToken)
    {
        var surplus = work.File.Length - usedEnd;
        if (surplus > 0 && work.DataEnd < work.File.Length)
        {
            // Only made longer so that the log of a file that was cut could be replayed.
            await work.File.SetLengthAsync(usedEnd, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (surplus <= 0 || work.File.Length % VhdxFormat.MiB == 0)
            return;
        await work.File.SetLengthAsync(usedEnd, cancellationToken).ConfigureAwait(false);
        work.Mended(usedEnd, $"{surplus} bytes at the end of the file belong to nothing and are not whole MiB", "they are cut off");
    }

    /// <summary>[MS-VHDX] 2.2.2: a writer gives the file a new FileWriteGuid. The DataWriteGuid stays: no child has seen other bytes.</summary>
    private static async ValueTask RenewFileIdentityAsync(RepairWork work, VhdxHeaders headers, CancellationToken cancellationToken)
    {
        var changes = await work.File.ChangesAsync(cancellationToken).ConfigureAwait(false);
        if (changes.All.Count > 0)
        {
            await headers.UpdateAsync(
                headers.Current with { FileWriteGuid = work.Options.NewGuid() }, both: true, static () => ValueTask.CompletedTask).ConfigureAwait(false);
        }
    }
}
