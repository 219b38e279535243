using Godwit.Api;

namespace Godwit.Host.Files;

/// <summary>Resolves symbolic links and dots the way the kernel would, as far as the path exists.</summary>
internal static class PathResolution
{
    private const int MaximumLinks = 40;
    private const int MaximumLength = 4095;

    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: no absolute path, or links in a circle.</exception>
    public static string Resolve(string path)
    {
        if (!path.StartsWith('/') || path.Contains('\0', StringComparison.Ordinal) || path.Length > MaximumLength)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is not an absolute path.", "Give the full path, starting with '/'.");
        }
        var links = 0;
        var done = "/";
        var left = new Stack<string>(Parts(path).Reverse());
        while (left.TryPop(out var part))
        {
            if (part == ".")
            {
                continue;
            }
            if (part == "..")
            {
                done = Path.GetDirectoryName(done) ?? "/";
                continue;
            }
            var next = Path.Combine(done, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                done = next;
                continue;
            }
            if (++links > MaximumLinks)
            {
                throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' leads through too many symbolic links.");
            }
            if (target.StartsWith('/'))
            {
                done = "/";
            }
            foreach (var one in Parts(target).Reverse())
            {
                left.Push(one);
            }
        }
        return done;
    }

    /// <summary>Whether a resolved path is a folder or below it.</summary>
    public static bool IsWithin(string path, string folder) =>
        folder == "/" || path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal);

    private static string[] Parts(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries);
}
