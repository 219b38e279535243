using System.Net;
using Godwit.Storage;

namespace Godwit.Nbd.Tls;

/// <summary>The name a server's certificate has to be for.</summary>
internal static class ServerName
{
    /// <summary>The name that was given, or else the address.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: none was given, and the address has none.</exception>
    public static string Of(EndPoint server, string? given, string path) => given ?? server switch
    {
        IPEndPoint address => address.Address.ToString(),
        DnsEndPoint name => name.Host,
        _ => throw new StorageException(
            StorageErrorKind.InvalidRequest, "the name in the server's certificate has to be given for TLS on a unix socket", path),
    };
}
