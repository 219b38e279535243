using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>struct timespec, and the clock that goes on while the computer sleeps.</summary>
[StructLayout(LayoutKind.Sequential)]
internal partial struct Clock
{
    private const int BootTime = 7; // CLOCK_BOOTTIME

    private readonly long _seconds;
    private readonly long _nanoseconds;

    /// <summary>Nanoseconds since the kernel booted, time asleep included.</summary>
    public static long SinceBoot()
    {
        // Cannot fail: Linux has had the clock since 2.6.39.
        _ = GetTime(BootTime, out var now);
        return (now._seconds * 1_000_000_000) + now._nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static partial int GetTime(int clock, out Clock time);
}
