using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Chains;

/// <summary>Makes differencing images, and writes into them where their parent is.</summary>
public static class ChildImage
{
    /// <summary>Creates an image that reads like its parent until it is written to. A failure leaves no file.</summary>
    /// <param name="path">The new file; must not exist. A VHDX for a VHDX parent, a VHD for a VHD.</param>
    /// <param name="parentPath">The parent; must not be written to any more from now on.</param>
    /// <param name="size">Bytes, at least the parent's; the parent's size when null.</param>
    /// <param name="options">Block size; identities and sector sizes are the parent's where they are not given.</param>
    /// <param name="paths">Where Windows' drives and shares are, in case the parent has parents of its own.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the parent is a raw file, the size is smaller
    /// than the parent's, or a name on the way cannot be written into the file; or whatever opening the parent or creating fails with.</exception>
    public static ValueTask CreateAsync(
        string path, string parentPath, long? size, ImageCreateOptions? options, PathMap paths, CancellationToken cancellationToken) =>
        CreateFromAsync(path, parentPath, size, options, new ChainOptions { Paths = paths }, cancellationToken);

    /// <summary>The same, with more to say about the parent's own parents.</summary>
    /// <param name="path">The new file.</param>
    /// <param name="parentPath">The parent.</param>
    /// <param name="size">Bytes; the parent's size when null.</param>
    /// <param name="options">Block size and identities.</param>
    /// <param name="chainOptions">How to find the parent's own parents.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <exception cref="StorageException">As for <see cref="CreateAsync"/>; AccessDenied: a parent is outside the allowed folders.</exception>
    public static async ValueTask CreateFromAsync(
        string path, string parentPath, long? size, ImageCreateOptions? options, ChainOptions chainOptions, CancellationToken cancellationToken)
    {
        var chain = await DiskChain.DescribeAsync(parentPath, chainOptions, cancellationToken).ConfigureAwait(false);
        var parent = chain[0];
        if (size < parent.Description.Size)
            throw Invalid(path, $"size {size} is smaller than the parent's {parent.Description.Size} bytes");
        var inherited = FormatOver(path, parent) == ImageFormat.VhdxDifferencing
            ? await InheritedAsync(parent.Path, cancellationToken).ConfigureAwait(false)
            : [];
        await WriteAsync(path, parent, size ?? parent.Description.Size, options ?? new ImageCreateOptions(), inherited, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Creates an image on top of a disk that is open, and may go on being written to until the new image is opened over it.</summary>
    /// <param name="path">The new file; must not exist.</param>
    /// <param name="chain">The disk. The new image records its <see cref="DiskChain.Leaf"/> as it is now, and fits only while that stays so.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <returns>The parent as it was recorded.</returns>
    /// <exception cref="StorageException">As for <see cref="CreateAsync"/>.</exception>
    public static async ValueTask<ChainLayer> CreateOverAsync(string path, DiskChain chain, CancellationToken cancellationToken)
    {
        var parent = chain.Leaf;
        var inherited = chain.Device is VhdxDisk disk ? await disk.ReadInheritedAsync(cancellationToken).ConfigureAwait(false) : [];
        await WriteAsync(path, parent, parent.Description.Size, new ImageCreateOptions(), inherited, cancellationToken).ConfigureAwait(false);
        return parent;
    }

    private static ValueTask WriteAsync(
        string path, ChainLayer parent, long size, ImageCreateOptions options, IReadOnlyList<VhdxMetadataItem> inherited, CancellationToken cancellationToken)
    {
        var format = FormatOver(path, parent);
        var child = options with
        {
            BlockSize = options.BlockSize ?? parent.Description.BlockSize ?? DefaultBlockSize,
            LogicalSectorSize = parent.Description.LogicalSectorSize,
            PhysicalSectorSize = parent.Description.PhysicalSectorSize,
            Identifier = options.Identifier ?? (format == ImageFormat.VhdxDifferencing ? parent.Description.Identifier : null),
            Metadata = inherited,
        };
        return DiskImage.CreateAsync(path, format, size, child, LinkTo(path, parent), cancellationToken);
    }

    /// <summary>The format of images on top of one; null for a raw file, on top of which none can be.</summary>
    /// <param name="parent">The parent's format.</param>
    public static ImageFormat? FormatOver(ImageFormat parent) => ImageProbe.FamilyOf(parent) switch
    {
        "VHDX" => ImageFormat.VhdxDifferencing,
        "VHD" => ImageFormat.VhdDifferencing,
        _ => null,
    };

    private static ImageFormat FormatOver(string path, ChainLayer parent) => FormatOver(parent.Description.Format)
        ?? throw Invalid(path, $"{parent.Path} is a raw file, which cannot be a parent; convert it to VHDX first");

    /// <summary>Writes into a differencing image where its parent is now.</summary>
    /// <param name="path">The differencing image. After a crash it has either the old or the new link.</param>
    /// <param name="parentPath">The parent; must be the one the image was made from, unless mismatches are to be ignored.</param>
    /// <param name="options">How to find the parent's own parents, and whether to ignore a mismatch.</param>
    /// <param name="cancellationToken">Gives up before anything is written.</param>
    /// <exception cref="StorageException">InvalidRequest: the image has no parent, or the two cannot belong together;
    /// <see cref="StorageErrorKind.ParentMismatch"/>; or a file failed.</exception>
    public static async ValueTask SetParentAsync(
        string path, string parentPath, ChainOptions options, CancellationToken cancellationToken)
    {
        var (format, link) = await PlanParentAsync(path, parentPath, options, cancellationToken).ConfigureAwait(false);
        await LayerLinks.SetParentAsync(path, format, link, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes every check of <see cref="SetParentAsync"/>, and writes nothing.</summary>
    /// <param name="path">The differencing image.</param>
    /// <param name="parentPath">The parent.</param>
    /// <param name="options">As for <see cref="SetParentAsync"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for <see cref="SetParentAsync"/>.</exception>
    public static async ValueTask CheckParentAsync(
        string path, string parentPath, ChainOptions options, CancellationToken cancellationToken) =>
        await PlanParentAsync(path, parentPath, options, cancellationToken).ConfigureAwait(false);

    private static async ValueTask<(ImageFormat Format, ParentLink Link)> PlanParentAsync(
        string path, string parentPath, ChainOptions options, CancellationToken cancellationToken)
    {
        var image = await DiskImage.DescribeAsync(path, options.Format, cancellationToken).ConfigureAwait(false);
        if (image.Parent is null)
            throw Invalid(path, "it is no differencing image, so it has no parent");
        var chain = await DiskChain.DescribeAsync(parentPath, options with { Format = null }, cancellationToken).ConfigureAwait(false);
        if (ImageProbe.FamilyOf(chain[0].Description.Format) != ImageProbe.FamilyOf(image.Format))
            throw Invalid(path, $"{parentPath} is no {ImageProbe.FamilyOf(image.Format)} file, so it cannot be its parent");
        var child = new ChainLayer(Path.GetFullPath(path), image);
        if (chain.Any(layer => layer.Path == child.Path))
            throw Invalid(path, $"it is a layer of {parentPath}'s own chain");
        ParentIdentity.Check(child, chain[0], options.IgnoreParentMismatch);
        return (image.Format, LinkTo(path, chain[0]));
    }

    // What Windows gives differencing disks of a parent without blocks.
    private const int DefaultBlockSize = 2 << 20;

    private static async ValueTask<IReadOnlyList<VhdxMetadataItem>> InheritedAsync(string path, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly: true);
        await using (file.ConfigureAwait(false))
            return await VhdxDisk.ReadInheritedAsync(file, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The parent of whatever file this is; null when it has none, is no image or cannot be read.</summary>
    internal static async ValueTask<string?> FindParentAsync(string path, PathMap paths, CancellationToken cancellationToken)
    {
        try
        {
            var image = await DiskImage.DescribeAsync(path, cancellationToken).ConfigureAwait(false);
            return image.Parent is ParentLink link ? ParentSearch.Find(path, link, paths) : null;
        }
        catch (StorageException)
        {
            return null;
        }
    }

    /// <summary>What a child in this place has to say about a parent.</summary>
    /// <exception cref="StorageException">InvalidRequest: a backslash in a name would be read as a separator.</exception>
    internal static ParentLink LinkTo(string childPath, ChainLayer parent)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(childPath)) ?? "/";
        var relative = Path.GetRelativePath(folder, parent.Path);
        if (relative.Contains('\\', StringComparison.Ordinal))
            throw Invalid(childPath, $"the parent's path {relative} has a backslash in a name, which the format cannot record");
        if (!relative.StartsWith("..", StringComparison.Ordinal))
            relative = $"./{relative}";
        return new ParentLink(
            parent.Description.Linkage ?? throw Invalid(childPath, $"{parent.Path} has no identity, so it cannot be a parent"),
            null,
            parent.Description.Modified,
            [new ParentPath(ParentPathKind.Relative, relative.Replace('/', '\\'))]);
    }

    private static StorageException Invalid(string path, string reason) =>
        new(StorageErrorKind.InvalidRequest, reason, path, operation: "create");
}
