using System.Runtime.InteropServices;

namespace Godwit.Nbd.Interop;

/// <summary>The system calls of the hot path. .NET's sockets cost a task, a lock and several checks per call; these do not.</summary>
internal static partial class SocketCalls
{
    public const int Interrupted = 4; // EINTR
    public const int WouldBlock = 11; // EAGAIN
    public const int NoSignal = 0x4000; // MSG_NOSIGNAL
    public const int DontWait = 0x40; // MSG_DONTWAIT
    public const int More = 0x8000; // MSG_MORE
    public const int PipeFlags = 0x80000; // O_CLOEXEC
    public const int SetPipeSize = 1031; // F_SETPIPE_SZ
    public const int GetPipeSize = 1032; // F_GETPIPE_SZ
    public const uint SpliceMove = 1; // SPLICE_F_MOVE
    public const uint SpliceNonBlocking = 2; // SPLICE_F_NONBLOCK
    public const short PollIn = 1;
    public const short PollOut = 4;
    public const int EventFdFlags = 0x80000 | 0x800; // EFD_CLOEXEC | EFD_NONBLOCK

    /// <summary>One entry of poll(2).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct PollEntry
    {
        public int Descriptor;
        public short Wanted;
        public short Seen;
    }

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static unsafe partial nint Receive(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static unsafe partial nint Send(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static unsafe partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static unsafe partial nint Read(int descriptor, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static unsafe partial nint Write(int descriptor, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    public static unsafe partial int Pipe(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(int descriptor, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    public static unsafe partial nint Splice(int from, long* noOffset, int to, long* noOffsetEither, nuint length, uint flags);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);
}
