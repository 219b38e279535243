using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Tries on a draft in memory whether a layer can grow, with the very code that will do it. Writes nothing.</summary>
internal static class GrowthRehearsal
{
    /// <summary>Tells why a layer cannot grow; null when it can.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="parent">The layer below it; null for the base.</param>
    /// <param name="size">The size it is to have, in bytes.</param>
    /// <param name="options">How to find the layers below the parent.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">A layer could not be opened.</exception>
    public static async ValueTask<string?> ProblemAsync(
        ChainLayer layer, ChainLayer? parent, long size, ChainOptions options, CancellationToken cancellationToken)
    {
        if (layer.Description.Format == ImageFormat.VhdxFixed)
            return "it is a fixed disk, whose blocks must all have their place first";
        var file = LocalFile.Open(layer.Path, readOnly: true);
        await using (file.ConfigureAwait(false))
        {
            var device = await OpenAsync(new DraftFile(file), layer, parent, options, cancellationToken).ConfigureAwait(false);
            await using (device.ConfigureAwait(false))
            {
                try
                {
                    await device.ResizeAsync(size, cancellationToken).ConfigureAwait(false);
                    return null;
                }
                catch (StorageException refused) when (refused.Kind is StorageErrorKind.Unsupported or StorageErrorKind.InvalidRequest)
                {
                    return refused.Reason;
                }
            }
        }
    }

    private static async ValueTask<BlockDevice> OpenAsync(
        DraftFile draft, ChainLayer layer, ChainLayer? parent, ChainOptions options, CancellationToken cancellationToken)
    {
        var below = parent is null ? null : await DiskChain.OpenAsync(
            parent.Path, options with { Format = null, ReadOnly = true }, cancellationToken).ConfigureAwait(false);
        try
        {
            return await LayerFormats.OpenAsync(
                draft, layer.Description.Format, below?.Device, keepsLinkage: true, cancellationToken).ConfigureAwait(false);
        }
        catch when (below is not null)
        {
            await below.Device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
