using Godwit.Storage.Formats.Vhd;

namespace Godwit.Storage.Repair;

/// <summary>Repairs a VHD: footer, dynamic header, block table, and at last footer and copy in their places.</summary>
internal static class VhdRepairs
{
    /// <summary>Repairs the draft as far as possible.</summary>
    public static async ValueTask RunAsync(RepairWork work, CancellationToken cancellationToken)
    {
        if (await VhdFooterRepair.RunAsync(work, cancellationToken).ConfigureAwait(false) is not VhdFooters footers)
            return;
        var size = SizeOf(work, footers);
        if (size == 0 || footers.Current.Kind == VhdKind.Fixed)
            return;
        if (await VhdHeaderRepair.RunAsync(work, footers, size, cancellationToken).ConfigureAwait(false) is not VhdDynamicHeader header)
            return;
        footers = await VhdTableRepair.RunAsync(work, footers, header, new VhdBlocks(size, (int)header.BlockSize), cancellationToken).ConfigureAwait(false);
        if (footers.IsInPlace && footers.HasCopy)
            return;
        if (!footers.IsInPlace && !footers.HasCopy)
        {
            // Else there would be none to open the image by.
            await work.File.WriteAsync(0, footers.Current.ToBytes(), cancellationToken).ConfigureAwait(false);
            footers = footers with { HasCopy = true };
        }

        try
        {
            // The same as an opening for writing does; whatever is left wrong must not be built upon.
            var image = await VhdImage.OpenAsync(work.File, cancellationToken).ConfigureAwait(false);
            await VhdRepair.RunAsync(work.File, image with { Footers = footers }, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException left) when (left.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            work.Abandon(left.Offset, left.Reason, "as long as this is so the footer has no safe place; give --lossy to mend both");
        }
    }

    private static long SizeOf(RepairWork work, VhdFooters footers)
    {
        try
        {
            return VhdExamination.CheckSize(work.File, footers);
        }
        catch (StorageException wrong)
        {
            var advice = footers.Current.Kind == VhdKind.Fixed && wrong.Kind == StorageErrorKind.Corrupt
                ? "the missing part is nowhere in this file; \"godwit disk convert --source-format raw\" reads what is there"
                : "nothing else in the file tells the size";
            work.Impossible(wrong.Offset, wrong.Reason, advice);
            return 0;
        }
    }
}
