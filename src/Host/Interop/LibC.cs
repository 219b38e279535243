using System.Runtime.InteropServices;
using System.Text;
using Godwit.Api;
using Microsoft.Win32.SafeHandles;

namespace Godwit.Host.Interop;

/// <summary>The few calls .NET has no word for.</summary>
internal static partial class LibC
{
    private const int WriteAccess = 2;
    private const int SearchAccess = 1;
    private const int Terminate = 15;
    private const int CloseOnExec = 0x80000;
    private const int Folder = 0x10000;

    private const int ClockError = 5;
    private const int AtWorkingFolder = -100;
    private const uint NoReplace = 1;
    private const int Exists = 17;
    private const int NotSupported = 38;
    private const int OperationNotSupported = 95;
    private const int NotPermitted = 1;

    // What file systems answer that have nothing to sync there.
    private const int InvalidArgument = 22;
    private const int ReadOnly = 30;

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

    /// <summary>Makes names in a folder durable: .NET cannot open a folder.</summary>
    /// <exception cref="IOException">The file system failed.</exception>
    public static void SyncFolder(string folder)
    {
        var descriptor = Open(folder, CloseOnExec | Folder);
        if (descriptor < 0)
        {
            throw Failure(folder);
        }
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Sync(descriptor) != 0 && Marshal.GetLastPInvokeError() is not (InvalidArgument or ReadOnly))
        {
            throw Failure(folder);
        }
    }

    /// <summary>Renames a file; false when there is something of the new name. .NET looks first and renames then.</summary>
    /// <exception cref="IOException">The file system failed.</exception>
    public static bool TryRename(string from, string to)
    {
        if (RenameAt(AtWorkingFolder, from, AtWorkingFolder, to, NoReplace) == 0)
        {
            return true;
        }
        var error = Marshal.GetLastPInvokeError();
        if (error is InvalidArgument or NotSupported)
        {
            // File systems that know no such renaming: a link is as strict, and takes one call more.
            if (!TryLink(from, to))
            {
                return false;
            }
            File.Delete(from);
            return true;
        }
        return error == Exists ? false : throw Failure(to);
    }

    /// <summary>Whether somebody keeps the kernel's clock: the kernel says so itself.</summary>
    public static unsafe bool IsClockKept()
    {
        // struct timex has 208 bytes on 64-bit Linux; zero modes ask and change nothing.
        var question = stackalloc byte[256];
        new Span<byte>(question, 256).Clear();
        return AdjustTime(question) is >= 0 and not ClockError;
    }

    /// <summary>Gives a file a second name; false when there is something of that name.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unsupported"/>: the file system knows only one name per file.</exception>
    /// <exception cref="IOException">The file system failed.</exception>
    public static bool TryLink(string from, string to)
    {
        if (Link(from, to) == 0)
        {
            return true;
        }
        var error = Marshal.GetLastPInvokeError();
        if (error is NotPermitted or NotSupported or OperationNotSupported)
        {
            throw new GodwitException(
                ErrorCode.Unsupported, $"The file system of '{to}' cannot give a file a second name (hard link).", "Use a folder on another one.");
        }
        return error == Exists ? false : throw Failure(to);
    }

    private static IOException Failure(string path) => new($"'{path}': {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "adjtimex", SetLastError = true)]
    private static unsafe partial int AdjustTime(byte* timex);

    [LibraryImport("libc", EntryPoint = "renameat2", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int RenameAt(int fromFolder, string from, int toFolder, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Link(string from, string to);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    /// <summary>Renames a file, folder or link, over a file, an empty folder or a link if there is one: in one step.</summary>
    /// <exception cref="IOException">It cannot be renamed.</exception>
    public static void Rename(string from, string to)
    {
        if (RenamePath(from, to) != 0)
        {
            throw Failure(to);
        }
    }

    [LibraryImport("libc", EntryPoint = "rename", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int RenamePath(string from, string to);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
