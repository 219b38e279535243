using System.Security.Cryptography;
using System.Text;
using Godwit.Api;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Godwit.Host.Http;

/// <summary>Who may talk: on the unix socket whoever the file system lets, on TCP whoever has the token.</summary>
internal sealed class BearerToken
{
    private const string Scheme = "Bearer ";
    private static readonly object UnixSocketMark = new();
    private readonly byte[] _hash;

    private BearerToken(string token) => _hash = SHA256.HashData(Encoding.UTF8.GetBytes(token));

    /// <summary>Reads the token file, making it (0600) when missing.</summary>
    public static BearerToken ReadOrCreate(string path)
    {
        if (!File.Exists(path))
        {
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            using var file = new StreamWriter(path, Encoding.ASCII, options);
            file.WriteLine(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
        }
        // Somebody may have opened it to others.
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var token = File.ReadAllText(path).Trim();
        return token.Length >= 16 ? new BearerToken(token) : throw new GodwitException(
            ErrorCode.InvalidRequest, $"The token in '{path}' is shorter than 16 characters.", "Delete the file: a new one is made.");
    }

    /// <summary>Lets a request through or answers 401.</summary>
    public Task CheckAsync(HttpContext context, RequestDelegate next)
    {
        if (IsUnixSocket(context) || Matches(context.Request.Headers.Authorization.ToString()))
        {
            return next(context);
        }
        context.Response.Headers.WWWAuthenticate = "Bearer";
        return ProblemAnswers.WriteAsync(context, StatusCodes.Status401Unauthorized, new Problem(
            ErrorCode.AccessDenied, "A valid bearer token is needed here.", "It is in the file 'token' of godwitd's state folder."));
    }

    /// <summary>Marks every connection of a listener as come over the unix socket. A mark, not a guess from the address:
    /// what has none needs the token.</summary>
    public static void MarkUnixSocket(ListenOptions listen) => listen.Use(next => connection =>
    {
        connection.Items[UnixSocketMark] = true;
        return next(connection);
    });

    private static bool IsUnixSocket(HttpContext context) =>
        context.Features.Get<IConnectionItemsFeature>()?.Items.ContainsKey(UnixSocketMark) == true;

    // Hashes have one length and compare in one time: nothing about the token leaks.
    private bool Matches(string header) =>
        header.StartsWith(Scheme, StringComparison.Ordinal)
        && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(header[Scheme.Length..])), _hash);
}
