using System.Text;

namespace Godwit.Worker.Interop;

/// <summary>A listening unix socket as a bare descriptor: the supervisor only holds it, it never accepts.</summary>
internal static unsafe class ListeningSocket
{
    /// <summary>Longest path a unix socket address can carry, in bytes (sun_path less its terminator).</summary>
    internal const int MaxPathBytes = 107;

    private const int Backlog = 64;

    /// <summary>Takes over a socket from before this process became another program.</summary>
    /// <returns>The descriptor, closed on exec.</returns>
    internal static int Inherit(int descriptor) => LibC.Control(descriptor, LibC.SetDescriptorFlags, 1) == 0
        ? descriptor
        : throw Errno.Exception($"take over descriptor {descriptor}");

    /// <summary>Binds and listens, taking the place of a stale socket file. Only for the holder of the folder's lock.</summary>
    /// <returns>The descriptor, closed on exec.</returns>
    internal static int Bind(string path)
    {
        var name = Encoding.UTF8.GetBytes(path);
        if (name.Length > MaxPathBytes)
        {
            throw new Godwit.Api.GodwitException(
                Godwit.Api.ErrorCode.InvalidRequest,
                $"socket path {path} has {name.Length} bytes, a unix socket allows {MaxPathBytes}",
                "choose a shorter --run folder");
        }

        var descriptor = LibC.Socket(LibC.UnixFamily, LibC.StreamSocket | LibC.SocketCloseOnExec, 0);
        if (descriptor < 0)
            throw Errno.Exception("make a socket");
        FileStatus.Remove(path);
        var address = stackalloc byte[2 + MaxPathBytes + 1];
        new Span<byte>(address, 2 + MaxPathBytes + 1).Clear();
        address[0] = LibC.UnixFamily;
        name.CopyTo(new Span<byte>(address + 2, MaxPathBytes));
        // The mask makes the file private from its first moment; chmod takes the useless execute bit off.
        if (LibC.Bind(descriptor, address, (uint)(2 + name.Length + 1)) != 0 || LibC.ChangeMode(path, 0b110_000_000) != 0)
            throw Errno.Exception($"bind {path}");
        if (LibC.Listen(descriptor, Backlog) != 0)
            throw Errno.Exception($"listen on {path}");
        return descriptor;
    }
}
