namespace Godwit.Storage.Chains;

/// <summary>Finds files by names that come from Windows, where upper and lower case are the same.</summary>
internal static class CaselessPath
{
    /// <summary>The file's true path: as given when it exists so, else with each part in the one other spelling there is.</summary>
    /// <param name="path">Absolute, without "." and "..".</param>
    /// <returns>Null when there is no such file, or when a part could be any of several.</returns>
    public static string? Find(string path)
    {
        if (File.Exists(path))
            return path;
        var found = "/";
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var next = Path.Combine(found, part);
            if ((Path.Exists(next) ? next : OtherSpelling(found, part)) is not string known)
                return null;
            found = known;
        }

        return File.Exists(found) ? found : null;
    }

    private static string? OtherSpelling(string folder, string name)
    {
        try
        {
            string? match = null;
            foreach (var entry in Directory.EnumerateFileSystemEntries(folder))
            {
                if (!string.Equals(Path.GetFileName(entry), name, StringComparison.OrdinalIgnoreCase))
                    continue;
                if (match is not null)
                    return null;
                match = entry;
            }

            return match;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
