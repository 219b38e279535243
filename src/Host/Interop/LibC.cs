using System.Runtime.InteropServices;

namespace Godwit.Host.Interop;

/// <summary>The few calls .NET has no word for.</summary>
internal static partial class LibC
{
    private const int WriteAccess = 2;
    private const int SearchAccess = 1;
    private const int Terminate = 15;

    /// <summary>Whether this process may create files in the folder; false also on a read-only file system.</summary>
    public static bool IsWritable(string folder) => Access(folder, WriteAccess | SearchAccess) == 0;

    /// <summary>Asks a process to end (SIGTERM).</summary>
    public static void AskToEnd(int processId) => _ = Kill(processId, Terminate);

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
