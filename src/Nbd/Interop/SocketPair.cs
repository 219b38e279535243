using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Godwit.Nbd.Interop;

/// <summary>Two sockets that are each other's peers.</summary>
internal static partial class SocketPair
{
    private const int Unix = 1; // AF_UNIX
    private const int StreamCloseOnExec = 1 | 0x80000; // SOCK_STREAM | SOCK_CLOEXEC

    /// <summary>Makes a pair.</summary>
    /// <exception cref="SocketException">The process has no descriptors left.</exception>
    public static unsafe (Socket One, Socket Other) Create()
    {
        var descriptors = stackalloc int[2];
        if (Make(Unix, StreamCloseOnExec, 0, descriptors) != 0)
            throw new SocketException((int)SocketError.TooManyOpenSockets);
        return (Wrap(descriptors[0]), Wrap(descriptors[1]));
    }

    private static Socket Wrap(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: true));

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static unsafe partial int Make(int domain, int type, int protocol, int* descriptors);
}
