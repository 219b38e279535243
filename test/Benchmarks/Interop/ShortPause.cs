using System.Runtime.InteropServices;

namespace Godwit.Benchmarks.Interop;

/// <summary>A pause shorter than the runtime's timers can make it: what is waited for takes a few milliseconds in all.</summary>
internal static partial class ShortPause
{
    private const uint Microseconds = 100;

    /// <summary>Blocks the thread for about a tenth of a millisecond.</summary>
    public static void Take() => _ = Sleep(Microseconds);

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int Sleep(uint microseconds);
}
