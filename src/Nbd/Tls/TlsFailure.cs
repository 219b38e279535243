using System.Net.Sockets;
using System.Security.Authentication;

namespace Godwit.Nbd.Tls;

/// <summary>What the TLS library throws, and what it means in words.</summary>
internal static class TlsFailure
{
    /// <summary>An exception of a TLS handshake or session that ends it, and nothing else.</summary>
    public static bool Is(Exception failure) =>
        failure is AuthenticationException or IOException or SocketException or ObjectDisposedException or InvalidOperationException;

    /// <summary>Why, without a full stop.</summary>
    public static string Reason(Exception failure)
    {
        var inmost = failure;
        while (inmost.InnerException is { } inner)
            inmost = inner;
        return inmost.Message.TrimEnd('.');
    }
}
