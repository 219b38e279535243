using System.Runtime.InteropServices;

namespace Godwit.ControlPlane.Tests.Interop;

/// <summary>The C library calls tests need and .NET has no equal for.</summary>
internal static partial class LibC
{
    /// <summary>SIGINT: what ^C sends.</summary>
    public const int Interrupt = 2;

    /// <summary>SIGCONT: a stopped process goes on.</summary>
    public const int Continue = 18;

    /// <summary>SIGSTOP: the process stands still.</summary>
    public const int Stop = 19;

    /// <summary>Sends a signal to a process.</summary>
    [LibraryImport("libc", EntryPoint = "kill")]
    public static partial int Kill(int processId, int signal);

    /// <summary>Makes the calling thread, and only it, act as another user; only root may.</summary>
    /// <returns>0, or -1.</returns>
    public static long ActAs(uint user) => SystemCall(SetUsers, -1, user, -1);

    // setresuid on x86-64: the C library's own call of that name would change every thread of the process.
    private const long SetUsers = 117;

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, long real, long effective, long saved);
}
