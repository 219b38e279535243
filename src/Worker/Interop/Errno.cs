using System.Runtime.InteropServices;
using Godwit.Api;

namespace Godwit.Worker.Interop;

/// <summary>Turns the errno of a failed call into the exception the rest of the worker speaks.</summary>
internal static class Errno
{
    /// <summary>The exception for the call that failed last on this thread.</summary>
    /// <param name="doing">What was attempted, naming the object, for example "bind /run/x/nbd.sock".</param>
    /// <param name="remedy">What to do about it.</param>
    internal static GodwitException Exception(string doing, string? remedy = null) =>
        Exception(Marshal.GetLastPInvokeError(), doing, remedy);

    /// <summary>The exception for an errno.</summary>
    internal static GodwitException Exception(int errno, string doing, string? remedy = null) =>
        new(Code(errno), $"{doing}: {Marshal.GetPInvokeErrorMessage(errno)}", remedy);

    private static ErrorCode Code(int errno) => errno switch
    {
        1 or 13 or 30 => ErrorCode.AccessDenied, // EPERM, EACCES, EROFS
        2 or 20 => ErrorCode.NotFound, // ENOENT, ENOTDIR
        17 => ErrorCode.AlreadyExists, // EEXIST
        11 or 16 or 26 or 98 => ErrorCode.Busy, // EAGAIN, EBUSY, ETXTBSY, EADDRINUSE
        28 or 122 => ErrorCode.NoSpace, // ENOSPC, EDQUOT
        _ => ErrorCode.IoFailed,
    };
}
