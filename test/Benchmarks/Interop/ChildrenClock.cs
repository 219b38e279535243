using System.Runtime.InteropServices;

namespace Godwit.Benchmarks.Interop;

/// <summary>Processor time of all children that have ended and been waited for: the difference is one child's when they run one by one.</summary>
internal static unsafe partial class ChildrenClock
{
    private const int Children = -1; // RUSAGE_CHILDREN

    /// <summary>User and kernel time together.</summary>
    public static TimeSpan Read()
    {
        // struct rusage: two pairs of seconds and microseconds, then fourteen numbers that are not used here.
        var usage = stackalloc long[18];
        if (GetUsage(Children, usage) != 0)
            throw new InvalidOperationException("getrusage refused to tell of the children");
        return TimeSpan.FromSeconds(usage[0] + usage[2]) + TimeSpan.FromMicroseconds(usage[1] + usage[3]);
    }

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static partial int GetUsage(int who, long* usage);
}
