using System.Runtime.InteropServices;

namespace Godwit.Benchmarks.Interop;

/// <summary>Processor time of another process to the nanosecond, threads that have ended included.</summary>
internal static partial class ProcessClock
{
    private const int Scheduler = 2; // CPUCLOCK_SCHED

    /// <summary>Processor time the process has used so far.</summary>
    public static TimeSpan Read(int processId)
    {
        // The kernel's encoding of "the clock of that process": see clock_getcpuclockid(3).
        if (GetTime((~processId << 3) | Scheduler, out var time) != 0)
            throw new InvalidOperationException($"process {processId} has no clock: it has ended");
        return TimeSpan.FromTicks((time.Seconds * TimeSpan.TicksPerSecond) + (time.Nanoseconds / TimeSpan.NanosecondsPerTick));
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
