using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Chains;

/// <summary>Changes what ties a layer to its parent and to its children.</summary>
internal static class LayerLinks
{
    /// <summary>Writes a new link into a differencing image. After a crash it has either the old or the new one.</summary>
    public static async ValueTask SetParentAsync(string path, ImageFormat format, ParentLink link, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly: false);
        await using (file.ConfigureAwait(false))
        {
            if (ImageProbe.FamilyOf(format) == "VHDX")
                await VhdxDisk.SetParentAsync(file, link, new VhdxOpenOptions(), cancellationToken).ConfigureAwait(false);
            else
                await VhdDisk.SetParentAsync(file, link, NameIn(link), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The file name alone, which a VHD records beside the paths.</summary>
    private static string NameIn(ParentLink link) => link.Paths[0].Text[(link.Paths[0].Text.LastIndexOfAny(['\\', '/']) + 1)..];

    /// <summary>Gives a VHDX the identity that its children record.</summary>
    public static async ValueTask SetLinkageAsync(string path, Guid linkage)
    {
        var file = LocalFile.Open(path, readOnly: false);
        await using (file.ConfigureAwait(false))
            await VhdxDisk.SetDataWriteGuidAsync(file, linkage, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Makes a VHDX present the same disk to a guest as the upper one of its chain does.</summary>
    public static async ValueTask CarryMetadataAsync(string upper, string lower)
    {
        var source = LocalFile.Open(upper, readOnly: true);
        await using (source.ConfigureAwait(false))
        {
            var target = LocalFile.Open(lower, readOnly: false);
            await using (target.ConfigureAwait(false))
                await VhdxDiskMetadata.CarryAsync(target, source, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Checks that <see cref="CarryMetadataAsync"/> will be possible.</summary>
    /// <param name="upper">The upper layer.</param>
    /// <param name="open">Its file where it is open for writing; stays its owner's.</param>
    /// <param name="lower">The lower layer.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask RequireRoomForMetadataAsync(string upper, IStorageFile? open, string lower, CancellationToken cancellationToken)
    {
        var target = LocalFile.Open(lower, readOnly: true);
        await using (target.ConfigureAwait(false))
        {
            if (open is not null)
            {
                await VhdxDiskMetadata.RequireRoomAsync(target, open, cancellationToken).ConfigureAwait(false);
                return;
            }

            var source = LocalFile.Open(upper, readOnly: true);
            await using (source.ConfigureAwait(false))
                await VhdxDiskMetadata.RequireRoomAsync(target, source, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Opens a layer for writing without giving it a new identity: for changes that its children do not see, because
    /// they cover them.</summary>
    public static async ValueTask<BlockDevice> OpenKeepingLinkageAsync(
        string path, ChainOptions options, CancellationToken cancellationToken) =>
        (await DiskChain.OpenAsync(path, options with { ReadOnly = false, KeepsLinkage = true }, cancellationToken).ConfigureAwait(false)).Device;
}
