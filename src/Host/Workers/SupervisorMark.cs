using System.Globalization;
using Godwit.Host.Interop;

namespace Godwit.Host.Workers;

/// <summary>
/// Tells whether a VM's supervisor lives, from the mark ("process start-time") it leaves in its lock file. Looking does not
/// touch the lock: trying it could make a supervisor that just starts believe there is another.
/// </summary>
internal static class SupervisorMark
{
    private const int StartTimeField = 22;

    /// <summary>The live supervisor's process id, or null.</summary>
    public static int? Find(string lockFile)
    {
        try
        {
            var parts = (LibC.ReadLocked(lockFile) ?? "").Trim().Split(' ');
            return parts.Length == 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var id) && StartTime(id) == parts[1]
                ? id
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? StartTime(int processId)
    {
        var stat = File.ReadAllText($"/proc/{processId.ToString(CultureInfo.InvariantCulture)}/stat");
        // The second field is the program's name in parentheses and may hold anything, so count from its end.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        var isZombie = fields[0] is "Z" or "X";
        return isZombie ? null : fields[StartTimeField - 3];
    }
}
