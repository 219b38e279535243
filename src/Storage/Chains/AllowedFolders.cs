using Godwit.Storage.Interop;

namespace Godwit.Storage.Chains;

/// <summary>The folders of this computer in which the parent of an image may be. Symbolic links are followed first.</summary>
/// <remarks>A differencing image names its parent itself. Whoever gave us the image must not read other files through it, even ones
/// whose identity he knows. Nobody is kept from replacing a folder between this check and the opening: that takes a right to
/// write on this computer.</remarks>
/// <param name="roots">Parents lie in one of these or below; empty for anywhere.</param>
/// <param name="except">And in none of these.</param>
public sealed class AllowedFolders(IReadOnlyList<string> roots, IReadOnlyList<string> except)
{
    private readonly string[] _roots = [.. roots.Select(Resolve)];
    private readonly string[] _except = [.. except.Select(Resolve)];

    /// <summary>A parent may be there.</summary>
    /// <param name="path">A file that exists.</param>
    public bool Allow(string path)
    {
        var place = Resolve(path);
        return (_roots.Length == 0 || Array.Exists(_roots, root => IsWithin(place, root))) && !Array.Exists(_except, root => IsWithin(place, root));
    }

    /// <inheritdoc/>
    public override string ToString() => _roots.Length == 0 ? "all but folders of the system and of the host itself" : string.Join(", ", _roots);

    // What does not exist cannot be opened either.
    private static string Resolve(string path) => LibC.RealPath(path, 0) ?? path;

    private static bool IsWithin(string path, string folder) =>
        folder == "/" || path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal);
}
