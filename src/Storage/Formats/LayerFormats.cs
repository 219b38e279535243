using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats;

/// <summary>The one place that knows which class is which format.</summary>
internal static class LayerFormats
{
    /// <summary>Reads what one file is; needs no parent and never writes. <see cref="ImageDescription.AllocatedBytes"/> is left 0.</summary>
    /// <param name="file">The file; stays the caller's.</param>
    /// <param name="format">Its family, from <see cref="ImageProbe"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static ValueTask<ImageDescription> DescribeAsync(
        IStorageFile file, ImageFormat format, CancellationToken cancellationToken) => ImageProbe.FamilyOf(format) switch
        {
            "VHDX" => VhdxDisk.DescribeAsync(file, cancellationToken),
            "VHD" => VhdDisk.DescribeAsync(file, cancellationToken),
            _ => ValueTask.FromResult(RawDisk.Describe(file)),
        };

    /// <summary>Opens one file as a device.</summary>
    /// <param name="file">The file; the device owns it once it is open.</param>
    /// <param name="format">Its family.</param>
    /// <param name="parent">For a differencing image; owned by the device once it is open.</param>
    /// <param name="keepsLinkage">Writing does not change the identity that children record.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<BlockDevice> OpenAsync(
        IStorageFile file, ImageFormat format, BlockDevice? parent, bool keepsLinkage, CancellationToken cancellationToken) =>
        ImageProbe.FamilyOf(format) switch
        {
            "VHDX" => await VhdxDisk.OpenAsync(
                file,
                new VhdxOpenOptions { ReadOnly = file.IsReadOnly, Parent = parent, KeepsDataWriteGuid = keepsLinkage },
                cancellationToken).ConfigureAwait(false),
            "VHD" => await VhdDisk.OpenAsync(
                file, new VhdOpenOptions { ReadOnly = file.IsReadOnly, Parent = parent }, cancellationToken).ConfigureAwait(false),
            _ => RawDisk.Open(file),
        };

    /// <summary>Makes one file's disk smaller, or finishes an interrupted run when it has that size already. A crash at any moment
    /// leaves the old size or the new one, with all bytes below the new one.</summary>
    /// <param name="file">The file, open for writing and by nobody else; stays the caller's.</param>
    /// <param name="format">Its family.</param>
    /// <param name="length">The new size in bytes: whole sectors above zero.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    public static async ValueTask ShrinkAsync(IStorageFile file, ImageFormat format, long length, CancellationToken cancellationToken)
    {
        switch (ImageProbe.FamilyOf(format))
        {
            case "VHDX":
                await VhdxShrink.RunAsync(file, length, cancellationToken).ConfigureAwait(false);
                break;
            case "VHD":
                await VhdShrink.RunAsync(file, length, cancellationToken).ConfigureAwait(false);
                break;
            default:
                await RawDisk.ShrinkAsync(file, length, cancellationToken).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>Brings one file into a state from which <see cref="BlockDevice.ResizeAsync"/> can grow it that far: a table that is too
    /// small for the new size moves. What the disk reads as and its size stay.</summary>
    /// <param name="file">The file, open for writing and by nobody else; stays the caller's.</param>
    /// <param name="format">Its family.</param>
    /// <param name="length">The size it is to have.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    public static ValueTask PrepareGrowthAsync(IStorageFile file, ImageFormat format, long length, CancellationToken cancellationToken) =>
        ImageProbe.FamilyOf(format) switch
        {
            "VHDX" => VhdxTableRoom.EnsureAsync(file, length, cancellationToken),
            "VHD" => VhdTableRoom.EnsureAsync(file, length, cancellationToken),
            _ => ValueTask.CompletedTask,
        };

    /// <summary>The identity that children record changes with the content: VHDX, not VHD.</summary>
    public static bool RecordsContent(ImageFormat format) => ImageProbe.FamilyOf(format) == "VHDX";

    /// <summary>Lists what is wrong with one file.</summary>
    /// <param name="file">The file; stays the caller's.</param>
    /// <param name="format">Its family.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<CheckReport> CheckAsync(IStorageFile file, ImageFormat format, CancellationToken cancellationToken)
    {
        switch (ImageProbe.FamilyOf(format))
        {
            case "VHDX":
                return await VhdxCheck.RunAsync(file, cancellationToken).ConfigureAwait(false);
            case "VHD":
                return await VhdCheck.RunAsync(file, cancellationToken).ConfigureAwait(false);
            default:
                RawDisk.Describe(file);
                return new CheckReport([], Errors: 0, Warnings: 0, TotalBlocks: 0, AllocatedBlocks: 0);
        }
    }
}
