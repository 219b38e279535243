using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Godwit.Host.Interop;

/// <summary>The users of this computer, as the kernel and the C library know them.</summary>
internal static partial class UnixUsers
{
    private const int SocketLevel = 1;
    private const int PeerCredentials = 17;
    private const int NoRoom = 34;

    /// <summary>The user this process acts as.</summary>
    public static uint Own => EffectiveUser();

    /// <summary>The user that connected a unix socket, as the kernel noted it at that moment; null for another kind of socket.</summary>
    public static uint? PeerOf(Socket socket)
    {
        // struct ucred: process, user, group, 32 bits each.
        Span<byte> credentials = stackalloc byte[12];
        return socket.AddressFamily == AddressFamily.Unix
            && socket.GetRawSocketOption(SocketLevel, PeerCredentials, credentials) == credentials.Length
            ? MemoryMarshal.Read<uint>(credentials[4..])
            : null;
    }

    /// <summary>The name of a user, or its number where it has none.</summary>
    public static unsafe string NameOf(uint user)
    {
        // struct passwd begins with the pointer to the name and has 48 bytes.
        var entry = stackalloc nint[16];
        for (var size = 1024; size <= 1 << 20; size *= 4)
        {
            var text = new byte[size];
            fixed (byte* start = text)
            {
                var error = FindUser(user, entry, start, (nuint)size, out var found);
                if (error == NoRoom)
                {
                    continue;
                }
                if (error == 0 && found != 0 && Marshal.PtrToStringUTF8(entry[0]) is { Length: > 0 } name)
                {
                    return name;
                }
            }
            break;
        }
        return user.ToString(CultureInfo.InvariantCulture);
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "getpwuid_r")]
    private static unsafe partial int FindUser(uint user, nint* entry, byte* text, nuint size, out nint found);
}
