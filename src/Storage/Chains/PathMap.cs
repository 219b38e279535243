namespace Godwit.Storage.Chains;

/// <summary>Where the drives and shares of Windows are on this computer: "C:" → "/srv/c", "\\server\share" → "/mnt/share".</summary>
/// <remarks>Prefixes are compared as Windows does, without regard to case and to the kind of slash; the longest one that fits
/// counts. Immutable.</remarks>
public sealed class PathMap
{
    private readonly List<(string Prefix, string Folder)> _entries = [];

    /// <summary>A map that knows no drive and no share.</summary>
    public static PathMap Empty { get; } = new();

    /// <summary>The entries as they were given, longest prefix first.</summary>
    public IReadOnlyList<(string Prefix, string Folder)> Entries => _entries;

    /// <summary>Reads entries of the form <c>PREFIX=FOLDER</c>.</summary>
    /// <param name="entries">For example <c>C:=/srv/c</c> or <c>\\server\share=/mnt/share</c>.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: an entry without "=", with an empty
    /// side, or with a folder that is not absolute.</exception>
    public static PathMap Parse(IEnumerable<string> entries)
    {
        var map = new PathMap();
        foreach (var entry in entries)
        {
            var split = entry.IndexOf('=', StringComparison.Ordinal);
            if (split <= 0 || split == entry.Length - 1 || entry[split + 1] != '/')
            {
                throw new StorageException(
                    StorageErrorKind.InvalidRequest,
                    $"\"{entry}\" does not map a drive or share to a folder; write C:=/folder or \\\\server\\share=/folder");
            }

            map._entries.Add((Normalize(entry[..split]).TrimEnd('/'), entry[(split + 1)..]));
        }

        map._entries.Sort(static (a, b) => b.Prefix.Length.CompareTo(a.Prefix.Length));
        return map;
    }

    /// <summary>The place of a Windows path here, or null when no entry fits.</summary>
    /// <param name="windowsPath">Drive, share or volume path; <c>\\?\</c> and <c>\\?\UNC\</c> in front are understood.</param>
    public string? Translate(string windowsPath)
    {
        var path = Normalize(windowsPath);
        foreach (var (prefix, folder) in _entries)
        {
            if (!path.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                continue;
            var rest = path[prefix.Length..];
            if (rest.Length == 0 || rest[0] == '/')
                return Path.Combine(folder, rest.TrimStart('/'));
        }

        return null;
    }

    /// <summary>Slashes forward, the marks for long paths gone.</summary>
    private static string Normalize(string path)
    {
        path = path.Replace('\\', '/');
        if (path.StartsWith("//?/UNC/", StringComparison.OrdinalIgnoreCase))
            return "//" + path["//?/UNC/".Length..];

        // A volume keeps its mark: "//?/Volume{...}" is the name under which it is mapped.
        return path.StartsWith("//?/", StringComparison.Ordinal) && !path.StartsWith("//?/Volume", StringComparison.OrdinalIgnoreCase)
            ? path["//?/".Length..]
            : path;
    }
}
