using System.Globalization;

namespace Godwit.Benchmarks.Nbd;

/// <summary>What another process has in memory.</summary>
internal static class ProcessMemory
{
    /// <summary>VmRSS: resident now, the pages of its program included.</summary>
    public static long ResidentBytes(int processId)
    {
        var line = File.ReadLines($"/proc/{processId}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line["VmRSS:".Length..^"kB".Length], CultureInfo.InvariantCulture) * 1024;
    }
}
