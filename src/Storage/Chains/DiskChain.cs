using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Chains;

/// <summary>An image with all the layers below it, opened as one disk.</summary>
/// <remarks>The files stay open and locked as long as <see cref="Device"/>, which owns them: dispose the device.</remarks>
public sealed class DiskChain
{
    private DiskChain(IReadOnlyList<ChainLayer> layers, IReadOnlyList<BlockDevice> devices, IReadOnlyList<string> gaps)
    {
        Layers = layers;
        Devices = devices;
        Gaps = gaps;
    }

    /// <summary>The layers from the image that was opened down to the base. At least one.</summary>
    public IReadOnlyList<ChainLayer> Layers { get; }

    /// <summary>The disk. Owns every layer.</summary>
    public BlockDevice Device => Devices[0];

    /// <summary>The device of each layer; the one above owns it.</summary>
    internal IReadOnlyList<BlockDevice> Devices { get; }

    /// <summary>The image on top as it is now: its size may have changed since it was opened, and its identity does with the first change.</summary>
    public ChainLayer Leaf => Layers[0] with
    {
        Description = Layers[0].Description with
        {
            Size = Device.Length,
            Linkage = Device is VhdxDisk disk ? disk.DataWriteGuid : Layers[0].Description.Linkage,
        },
    };

    /// <summary>What the file systems of the layers do not give, and what that means; empty on most.</summary>
    public IReadOnlyList<string> Gaps { get; }

    /// <summary>The same open chain after its image got another name.</summary>
    /// <param name="path">The name, absolute.</param>
    public DiskChain At(string path) => new([Layers[0] with { Path = path }, .. Layers.Skip(1)], Devices, Gaps);

    /// <summary>Makes sure that children that recorded the image's identity do not take it for their parent any more, as its first change does. Of no effect
    /// for a format whose identity does not tell its content.</summary>
    /// <exception cref="StorageException">The file failed.</exception>
    public ValueTask DisownChildrenAsync() => Device is VhdxDisk disk ? disk.BeginSessionAsync() : ValueTask.CompletedTask;

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
            var devices = await StackAsync(layers, files, options.KeepsLinkage, cancellationToken).ConfigureAwait(false);
            return new DiskChain(layers, devices, [.. files.SelectMany(file => file.Gaps).Distinct()]);
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
    private static async ValueTask<BlockDevice[]> StackAsync(
        List<ChainLayer> layers, List<LocalFile> files, bool keepsLinkage, CancellationToken cancellationToken)
    {
        var devices = new BlockDevice[layers.Count];
        BlockDevice? top = null;
        try
        {
            for (var index = layers.Count - 1; index >= 0; index--)
            {
                // Whoever writes below the leaf writes what the layers above cover.
                var keeps = keepsLinkage || (index > 0 && !files[index].IsReadOnly);
                top = devices[index] = await LayerFormats.OpenAsync(
                    files[index], layers[index].Description.Format, top, keeps, cancellationToken).ConfigureAwait(false);
            }
        }
        catch when (top is not null)
        {
            await top.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return devices;
    }
}
