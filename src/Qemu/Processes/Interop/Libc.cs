using System.Runtime.InteropServices;

namespace Godwit.Qemu.Processes.Interop;

/// <summary>The C library's calls for starting and watching processes (glibc 2.36 or newer, 64-bit).</summary>
internal static partial class Libc
{
    public const short SpawnSetSession = 0x80;
    public const short SpawnSetDefaultSignals = 0x04;
    public const short SpawnSetSignalMask = 0x08;
    public const int SignalKill = 9;
    public const int NoHang = 1;
    public const short PollIn = 1;

    /// <summary>Room for posix_spawnattr_t (336 bytes), posix_spawn_file_actions_t (80) and sigset_t (128) of glibc.</summary>
    public const int OpaqueBytes = 512;

    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Spawn(out int pid, string path, ReadOnlySpan<byte> fileActions, ReadOnlySpan<byte> attributes, nint[] arguments, nint[] environment);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_init")]
    public static partial int AttributesInitialize(Span<byte> attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_destroy")]
    public static partial int AttributesDestroy(Span<byte> attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setflags")]
    public static partial int AttributesSetFlags(Span<byte> attributes, short flags);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setsigdefault")]
    public static partial int AttributesSetDefaultSignals(Span<byte> attributes, ReadOnlySpan<byte> signals);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setsigmask")]
    public static partial int AttributesSetSignalMask(Span<byte> attributes, ReadOnlySpan<byte> signals);

    [LibraryImport(Library, EntryPoint = "sigfillset")]
    public static partial int FillSignals(Span<byte> signals);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int FileActionsInitialize(Span<byte> fileActions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int FileActionsDestroy(Span<byte> fileActions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int FileActionsAddOpen(Span<byte> fileActions, int descriptor, string path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int FileActionsAddDuplicate(Span<byte> fileActions, int from, int to);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    public static partial int FileActionsAddCloseFrom(Span<byte> fileActions, int from);

    [LibraryImport(Library, EntryPoint = "waitpid", SetLastError = true)]
    public static partial int WaitForChild(int pid, out int status, int options);

    [LibraryImport(Library, EntryPoint = "pidfd_open", SetLastError = true)]
    public static partial int OpenProcess(int pid, uint flags);

    [LibraryImport(Library, EntryPoint = "pidfd_send_signal", SetLastError = true)]
    public static partial int SignalProcess(SafeHandle process, int signal, nint extra, uint flags);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(ref PollEntry entry, nuint count, int milliseconds);

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
