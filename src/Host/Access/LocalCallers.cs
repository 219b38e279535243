using System.Collections.Concurrent;
using System.Globalization;
using Godwit.Api.Access;
using Godwit.Host.Interop;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Godwit.Host.Access;

/// <summary>Callers on the unix socket: root and the user godwitd runs as may everything, others nothing. The socket's mode
/// keeps them out already; this still holds when somebody has opened it.</summary>
internal static class LocalCallers
{
    private static readonly object Mark = new();
    private static readonly ConcurrentDictionary<uint, Caller> Known = new();

    /// <summary>Notes for every connection of a listener which user made it.</summary>
    public static void Identify(ListenOptions listen) => listen.Use(next => connection =>
    {
        var socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
        if (socket is not null && UnixUsers.PeerOf(socket) is { } user)
        {
            connection.Items[Mark] = Of(user, UnixUsers.Own);
        }
        return next(connection);
    });

    /// <summary>The caller noted for a request's connection; null when it came another way.</summary>
    public static Caller? Find(HttpContext context) =>
        context.Features.Get<IConnectionItemsFeature>()?.Items.TryGetValue(Mark, out var caller) == true ? (Caller?)caller : null;

    /// <summary>The caller that a user is.</summary>
    /// <param name="user">The user that connected.</param>
    /// <param name="own">The user godwitd runs as.</param>
    public static Caller Of(uint user, uint own)
    {
        if (user != 0 && user != own)
        {
            // Not looked up: that could ask a server on the network, for anybody who connects.
            return new Caller("user:" + user.ToString(CultureInfo.InvariantCulture), null, CallerOrigin.UnixSocket);
        }
        return Known.GetOrAdd(user, one => new Caller("user:" + UnixUsers.NameOf(one), Role.Administrator, CallerOrigin.UnixSocket));
    }
}
