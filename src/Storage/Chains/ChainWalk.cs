using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>Goes from a child to its parent until there is none, and checks every step.</summary>
internal static class ChainWalk
{
    /// <summary>Opens and describes the files of a chain, leaf first.</summary>
    /// <param name="path">The leaf.</param>
    /// <param name="options">How.</param>
    /// <param name="files">Receives the open files; the caller closes them, whatever happens.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<List<ChainLayer>> OpenFilesAsync(
        string path, ChainOptions options, List<LocalFile> files, CancellationToken cancellationToken)
    {
        var leaf = LocalFile.Open(path, options.ReadOnly, options.BypassCache, options.Cache);
        files.Add(leaf);
        var format = await ImageProbe.TellAsync(leaf, options.Format, cancellationToken).ConfigureAwait(false);
        var layers = new List<ChainLayer> { await DescribeAsync(leaf, format, cancellationToken).ConfigureAwait(false) };
        var seen = new HashSet<(long, long)> { leaf.Identity };
        while (layers[^1].Description.Parent is ParentLink link)
        {
            var child = layers[^1];
            if (layers.Count >= options.MaxDepth)
                throw Broken(StorageErrorKind.Corrupt, child, $"the chain has more than {options.MaxDepth} layers");
            var found = FindParent(child, link, options);

            // By name as well: the leaf is locked for writing and could not be opened a second time.
            if (layers.Exists(layer => layer.Path == found))
                throw Circle(child, found);
            var parent = LocalFile.Open(found, readOnly: found != options.WritableLayer, cache: options.Cache);
            files.Add(parent);
            if (!seen.Add(parent.Identity))
                throw Circle(child, found);
            layers.Add(await DescribeParentAsync(child, parent, cancellationToken).ConfigureAwait(false));
            ParentIdentity.Check(child, layers[^1], options.IgnoreParentMismatch);
        }

        return layers;
    }

    private static string FindParent(ChainLayer child, ParentLink link, ChainOptions options)
    {
        string? outside = null;
        foreach (var found in ParentSearch.FindAll(child.Path, link, options.Paths))
        {
            if (options.ParentFolders?.Allow(found) != false)
                return found;
            outside ??= found;
        }

        if (outside is not null)
        {
            throw Broken(
                StorageErrorKind.AccessDenied, child,
                $"the parent it names, {outside}, is outside the folders that this host allows for disks ({options.ParentFolders}); move the chain's "
                + "files into one of them and tell the new place with \"godwit disk set-parent\", or start godwitd with --allow-root");
        }

        var places = ParentSearch.Places(child.Path, link, options.Paths);
        var named = string.Join(", ", link.Paths.Select(path => $"\"{path.Text}\""));
        var tried = places.Count == 0 ? "no place on this computer follows from that" : $"tried {string.Join(", ", places)}";
        throw Broken(
            StorageErrorKind.ParentNotFound, child,
            $"its parent was not found: the file names {(named.Length == 0 ? "no path" : named)}; {tried}");
    }

    private static async ValueTask<ChainLayer> DescribeParentAsync(
        ChainLayer child, LocalFile parent, CancellationToken cancellationToken)
    {
        var format = await ImageProbe.TellAsync(parent, null, cancellationToken).ConfigureAwait(false);

        // Never a raw file: a hostile image could name any file of this computer as its parent and read it.
        if (ImageProbe.FamilyOf(format) != ImageProbe.FamilyOf(child.Description.Format))
        {
            throw Broken(
                StorageErrorKind.ParentMismatch, child,
                $"{parent.Path} is no {ImageProbe.FamilyOf(child.Description.Format)} file, so it cannot be its parent");
        }

        return await DescribeAsync(parent, format, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<ChainLayer> DescribeAsync(LocalFile file, ImageFormat format, CancellationToken cancellationToken)
    {
        var description = await LayerFormats.DescribeAsync(file, format, cancellationToken).ConfigureAwait(false);
        return new ChainLayer(Path.GetFullPath(file.Path), description with { AllocatedBytes = file.AllocatedBytes })
        {
            FileModified = file.Modified,
        };
    }

    private static StorageException Circle(ChainLayer child, string parent) =>
        Broken(StorageErrorKind.Corrupt, child, $"its parent {parent} is a layer above it: the chain is a circle");

    private static StorageException Broken(StorageErrorKind kind, ChainLayer child, string reason) =>
        new(kind, reason, child.Path, operation: "open");
}
