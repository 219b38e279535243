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
}
