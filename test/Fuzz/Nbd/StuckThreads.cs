namespace Godwit.Fuzz.Nbd;

/// <summary>What threads of this process wait for, as the kernel sees it.</summary>
internal static class StuckThreads
{
    /// <summary>Numbers and arguments of the system calls in which the threads of a name are, as in /proc/PID/task/TID/syscall.</summary>
    public static string Describe(string name)
    {
        var lines = new List<string>();
        foreach (var thread in Directory.EnumerateDirectories("/proc/self/task"))
        {
            try
            {
                if (File.ReadAllText($"{thread}/comm").Trim() == name)
                    lines.Add(File.ReadAllText($"{thread}/syscall").Trim());
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                lines.Add("gone, or not to be looked at");
            }
        }

        return $"its threads: {string.Join("; ", lines)}";
    }
}
