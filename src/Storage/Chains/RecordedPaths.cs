using Godwit.Storage.Formats;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Chains;

/// <summary>Tells whether the paths that a differencing image records still lead to its parent.</summary>
/// <remarks>A parent may be found although some or all of them are out of date: by another one, or by its name beside the child. Other
/// programs go by the paths alone. A path of Windows whose drive is nowhere on this computer is not judged.</remarks>
public static class RecordedPaths
{
    private const string Remedy = "godwit disk set-parent writes its place into the image";

    /// <summary>What is to be said about the paths of each layer of a chain that was found.</summary>
    /// <param name="layers">The chain, leaf first.</param>
    /// <param name="map">Where Windows' drives and shares are here.</param>
    /// <returns>A warning where no path leads to the parent, information where only some do not; in the order of the layers, none for
    /// those in order.</returns>
    public static IReadOnlyList<(string Path, CheckFinding Finding)> Judge(IReadOnlyList<ChainLayer> layers, PathMap map)
    {
        var findings = new List<(string, CheckFinding)>();
        for (var index = 0; index + 1 < layers.Count; index++)
        {
            if (Judge(layers[index], layers[index + 1].Path, map) is CheckFinding finding)
                findings.Add((layers[index].Path, finding));
        }

        return findings;
    }

    private static CheckFinding? Judge(ChainLayer child, string parent, PathMap map)
    {
        var folder = Path.GetDirectoryName(child.Path) ?? "/";
        var leads = false;
        var stale = new List<string>();
        foreach (var path in child.Description.Parent!.Paths.Where(static path => path.Kind != ParentPathKind.Name))
        {
            var place = ParentSearch.Resolve(path, folder, map);
            if (place is not null && IsSame(place, parent))
                leads = true;
            else if (place is not null)
                stale.Add($"\"{path.Text}\"");
        }

        if (stale.Count == 0)
            return null;
        var named = string.Join(", ", stale);
        return leads
            ? new CheckFinding(CheckSeverity.Information, null,
                $"its parent is {parent}; the image also names {named}, which does not lead there any more; {Remedy}")
            : new CheckFinding(CheckSeverity.Warning, null,
                $"its parent was found at {parent} by its name alone: the image names {named}, which does not lead there any more, so other programs "
                + $"will not find it; {Remedy}");
    }

    private static bool IsSame(string place, string parent) =>
        !place.Contains('\0', StringComparison.Ordinal) && CaselessPath.Find(Path.GetFullPath(place)) is string found
        && (found == parent || LibC.RealPath(found, 0) == (LibC.RealPath(parent, 0) ?? parent));
}
