namespace Godwit.ControlPlane.Tests.Promises;

/// <summary>The checkout this test program was built from.</summary>
internal static class Repository
{
    public static string Root => Testing.Checkout.Root;

    /// <summary>Every tracked kind of file below a folder, build output left out; relative paths with '/'.</summary>
    public static IEnumerable<string> Files(string folder, string pattern) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), pattern, SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    public static string Read(string file) => File.ReadAllText(Path.Combine(Root, file));
}
