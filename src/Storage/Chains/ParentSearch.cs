namespace Godwit.Storage.Chains;

/// <summary>Lists where the parent of a differencing image may be, from the paths the child names.</summary>
/// <remarks>[MS-VHDX] 2.6.2.6.3: the relative path first, then the volume's, then the absolute one. After those the file names
/// alone in the child's folder: a chain that was copied into one folder is found as it is. Whether a file is the parent is
/// told by its identity, never by its name.</remarks>
internal static class ParentSearch
{
    /// <summary>The places to look at, in order, absolute, each once.</summary>
    /// <param name="childPath">The child's file.</param>
    /// <param name="link">What it says about its parent.</param>
    /// <param name="map">Where Windows' drives and shares are here.</param>
    public static List<string> Places(string childPath, ParentLink link, PathMap map)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(childPath)) ?? "/";
        var places = new List<string>();
        foreach (var path in link.Paths.OrderBy(path => path.Kind))
        {
            if (Resolve(path, folder, map) is string place)
                Add(place);
        }

        foreach (var path in link.Paths)
        {
            if (NameOf(path.Text) is { Length: > 0 } name)
                Add(Path.Combine(folder, name));
        }

        return places;

        void Add(string place)
        {
            if (place.Contains('\0', StringComparison.Ordinal))
                return;
            var full = Path.GetFullPath(place);
            if (!places.Contains(full))
                places.Add(full);
        }
    }

    /// <summary>The first of the places where there is a file, in its true spelling; null when there is none.</summary>
    public static string? Find(string childPath, ParentLink link, PathMap map) => FindAll(childPath, link, map).FirstOrDefault();

    /// <summary>The files at the places, in order, in their true spelling.</summary>
    public static IEnumerable<string> FindAll(string childPath, ParentLink link, PathMap map) =>
        Places(childPath, link, map).Select(CaselessPath.Find).OfType<string>();

    /// <summary>Reads a path as the child's system meant it; null when this computer does not know its drive or share.</summary>
    public static string? Resolve(ParentPath path, string folder, PathMap map) => path.Kind switch
    {
        ParentPathKind.Relative => map.Translate(path.Text) ?? Path.Combine(folder, path.Text.Replace('\\', '/')),
        ParentPathKind.Volume => map.Translate(path.Text),
        ParentPathKind.Absolute => map.Translate(path.Text) ?? (path.Text.StartsWith('/') ? path.Text : null),
        ParentPathKind.Url => FromUrl(path.Text) is string local ? map.Translate(local) ?? local : null,
        _ => null,
    };

    private static string? FromUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.IsFile ? Uri.UnescapeDataString(url.AbsolutePath) : null;

    private static string NameOf(string path)
    {
        var name = path[(path.LastIndexOfAny(['\\', '/']) + 1)..];
        return name is "." or ".." || name.Contains(':', StringComparison.Ordinal) ? "" : name;
    }
}
