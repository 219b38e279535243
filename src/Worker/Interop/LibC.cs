using System.Runtime.InteropServices;

namespace Godwit.Worker.Interop;

/// <summary>The system calls the worker needs and .NET does not offer. Numbers and layouts are those of Linux on x86-64.</summary>
internal static unsafe partial class LibC
{
    internal const int ReadWrite = 2, WriteOnly = 1, Create = 0x40, Append = 0x400, CloseOnExec = 0x80000, NoFollow = 0x20000;
    internal const int LockExclusive = 2, LockNonBlocking = 4;
    internal const int SignalKill = 9, SignalTerminate = 15, SignalWindowChanged = 28;
    internal const int Interrupted = 4, WouldBlock = 11, NoEntry = 2, NoProcess = 3, NotPermitted = 1;
    internal const int SetDumpable = 4, SetName = 15, SetNoNewPrivileges = 38;
    internal const int SpawnResetSignals = 0x04, SpawnSetMask = 0x08;
    internal const int UnixFamily = 1, StreamSocket = 1, SocketCloseOnExec = 0x80000;
    internal const short PollIn = 1;
    internal const long PidfdOpenCall = 434, PidfdSendSignalCall = 424;
    internal const int WorkingFolder = -100, SetDescriptorFlags = 2, GetFlags = 3, SetFlags = 4, NonBlocking = 0x800;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    internal static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    internal static partial nint Write(int descriptor, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    internal static partial nint Read(int descriptor, byte* buffer, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    internal static partial int Truncate(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    internal static partial int Lock(int descriptor, int operation);

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    internal static partial int Duplicate(int from, int to);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    internal static partial int Control(int descriptor, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Unlink(string path);

    [LibraryImport("libc", EntryPoint = "rmdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int RemoveFolder(string path);

    [LibraryImport("libc", EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int ChangeMode(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Status(int folder, string path, int flags, uint mask, byte* buffer);

    [LibraryImport("libc", EntryPoint = "umask")]
    internal static partial uint SetCreationMask(uint mask);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    internal static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    internal static partial int StartSession();

    [LibraryImport("libc", EntryPoint = "getppid")]
    internal static partial int ParentProcess();

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    internal static partial int Signal(int process, int signal);

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    internal static partial int SetSignalAction(int signal, byte* action, byte* before);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    internal static partial int Wait(int process, out int status, int options);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial long Call(long number, long a, long b, nint c, long d);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    internal static partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    internal static partial int Socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    internal static partial int Bind(int descriptor, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    internal static partial int Listen(int descriptor, int backlog);

    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Spawn(out int process, string path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "execv", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Execute(string path, byte** arguments);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    internal static partial int InitializeActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    internal static partial int DestroyActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    internal static partial int AddDuplicate(byte* actions, int from, int to);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    internal static partial int InitializeAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    internal static partial int DestroyAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    internal static partial int SetSpawnFlags(byte* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    internal static partial int SetDefaultSignals(byte* attributes, byte* set);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    internal static partial int SetSignalMask(byte* attributes, byte* set);

    /// <summary>The kernel's struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct PollEntry
    {
        internal int Descriptor;
        internal short Events;
        internal short Returned;
    }
}
