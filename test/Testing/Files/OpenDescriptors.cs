using System.Globalization;

namespace Godwit.Testing.Files;

/// <summary>What this process has open.</summary>
public static class OpenDescriptors
{
    /// <summary>The descriptors that lead to a file. Others may come and go meanwhile: tests run side by side.</summary>
    public static IReadOnlyList<int> Of(string path) =>
        [.. Directory.GetFiles("/proc/self/fd").Where(link => TargetOf(link) == path).Select(link => int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture))];

    private static string? TargetOf(string link)
    {
        try
        {
            return File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
