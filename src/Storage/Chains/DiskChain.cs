using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>An image with all the layers below it, opened as one disk.</summary>
/// <remarks>The files stay open and locked as long as <see cref="Device"/>, which owns them: dispose the device.</remarks>
public sealed class DiskChain
{
    private DiskChain(IReadOnlyList<ChainLayer> layers, BlockDevice device, IReadOnlyList<string> gaps)
    {
        Layers = layers;
        Device = device;
        Gaps = gaps;
    }

    /// <summary>The layers from the image that was opened down to the base. At least one.</summary>
    public IReadOnlyList<ChainLayer> Layers { get; }

    /// <summary>The disk. Owns every layer.</summary>
    public BlockDevice Device { get; }

    /// <summary>What the file systems of the layers do not give, and what that means; empty on most.</summary>
    public IReadOnlyList<string> Gaps { get; }

    /// <summary>Opens an image and its parents, each checked to be the one its child was made from.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives up and closes everything.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.ParentNotFound"/> with the places tried,
    /// <see cref="StorageErrorKind.ParentMismatch"/>, <see cref="StorageErrorKind.Corrupt"/> for a cycle, a chain that is too deep or a
    /// damaged layer; or a file could not be opened: NotFound, AccessDenied, InUse. The message names the layer.</exception>
    public static async ValueTask<DiskChain> OpenAsync(string path, ChainOptions options, CancellationToken cancellationToken)
    {
        var files = new List<LocalFile>();
        try
        {
            var layers = await ChainWalk.OpenFilesAsync(path, options, files, cancellationToken).ConfigureAwait(false);
            var device = await StackAsync(layers, files, options.KeepsLinkage, cancellationToken).ConfigureAwait(false);
            return new DiskChain(layers, device, [.. files.SelectMany(file => file.Gaps).Distinct()]);
        }
        catch
        {
            // Files that a device owns by now were closed with it; closing twice has no effect.
            foreach (var file in files)
                await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Reads what an image and its parents are, without opening them as a disk.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="options">How; always for reading only.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The layers from the image down to the base.</returns>
    /// <exception cref="StorageException">As for <see cref="OpenAsync"/>.</exception>
    public static async ValueTask<IReadOnlyList<ChainLayer>> DescribeAsync(
        string path, ChainOptions options, CancellationToken cancellationToken)
    {
        var files = new List<LocalFile>();
        try
        {
            return await ChainWalk.OpenFilesAsync(path, options with { ReadOnly = true }, files, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var file in files)
                await file.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Opens the base, then each child on top of it.</summary>
    private static async ValueTask<BlockDevice> StackAsync(
        List<ChainLayer> layers, List<LocalFile> files, bool keepsLinkage, CancellationToken cancellationToken)
    {
        BlockDevice? device = null;
        try
        {
            for (var index = layers.Count - 1; index >= 0; index--)
            {
                device = await LayerFormats.OpenAsync(
                    files[index], layers[index].Description.Format, device, keepsLinkage, cancellationToken).ConfigureAwait(false);
            }
        }
        catch when (device is not null)
        {
            await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return device!;
    }
}
