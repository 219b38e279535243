using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Godwit.Host.Interop;

/// <summary>The few calls .NET has no word for.</summary>
internal static partial class LibC
{
    private const int WriteAccess = 2;
    private const int SearchAccess = 1;
    private const int Terminate = 15;
    private const int CloseOnExec = 0x80000;

    /// <summary>Whether this process may create files in the folder; false also on a read-only file system.</summary>
    public static bool IsWritable(string folder) => Access(folder, WriteAccess | SearchAccess) == 0;

    /// <summary>Asks a process to end (SIGTERM).</summary>
    public static void AskToEnd(int processId) => _ = Kill(processId, Terminate);

    /// <summary>Reads the start of a small file, whoever has it locked: .NET's own opening takes a lock, and fails where a
    /// process holds it to show that it lives.</summary>
    /// <returns>The text, or null when the file cannot be opened.</returns>
    public static string? ReadLocked(string path)
    {
        var descriptor = Open(path, CloseOnExec);
        if (descriptor < 0)
        {
            return null;
        }
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        Span<byte> bytes = stackalloc byte[256];
        return Encoding.ASCII.GetString(bytes[..RandomAccess.Read(handle, bytes, 0)]);
    }

    /// <summary>Makes what was done in a folder (files made, renamed) last over a power cut.</summary>
    /// <exception cref="IOException">It cannot be told to.</exception>
    public static void Sync(string folder)
    {
        var descriptor = Open(folder, CloseOnExec);
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (descriptor < 0 || SyncFile(descriptor) != 0)
        {
            throw new IOException($"'{folder}' cannot be synchronized: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Renames a file, folder or link, over a file, an empty folder or a link if there is one: in one step.</summary>
    /// <exception cref="IOException">It cannot be renamed.</exception>
    public static void Rename(string from, string to)
    {
        if (RenamePath(from, to) != 0)
        {
            throw new IOException($"'{from}' cannot be renamed to '{to}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int SyncFile(int descriptor);

    [LibraryImport("libc", EntryPoint = "rename", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int RenamePath(string from, string to);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
