using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Store;
using Microsoft.Data.Sqlite;

namespace Godwit.ControlPlane.Access;

/// <summary>The tokens of people. A secret has 256 random bits, so one round of SHA-256 is enough to keep it: there is
/// nothing to guess.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="database">The host's store.</param>
/// <param name="time">The clock tokens expire by.</param>
public sealed class TokenStore(Database database, TimeProvider time)
{
    private const int Limit = 1000;

    /// <summary>What a secret begins with, so that scanners for secrets find one that got where it should not be.</summary>
    private const string Prefix = "godwit_";

    // Telling the minute is enough, and costs no write per request.
    private static readonly TimeSpan UseResolution = TimeSpan.FromMinutes(1);

    /// <summary>All tokens by name, expired ones too.</summary>
    public IReadOnlyList<AccessToken> List() =>
        database.Query("SELECT name, role, created, expires, used FROM tokens ORDER BY name", Map);

    /// <summary>Makes a token.</summary>
    /// <param name="spec">What it is to be.</param>
    /// <returns>The token with its secret, which is not to be had again.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: no name, no role or a life that is none;
    /// <see cref="ErrorCode.AlreadyExists"/>; <see cref="ErrorCode.WrongState"/>: too many tokens.</exception>
    public NewAccessToken Create(AccessTokenSpec spec)
    {
        Check(spec);
        var secret = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var created = time.GetUtcNow();
        DateTimeOffset? expires = spec.LifetimeSeconds is { } seconds ? created.AddSeconds(seconds) : null;
        database.Transact(() =>
        {
            var names = database.Query("SELECT name FROM tokens", row => row.GetString(0));
            if (names.Contains(spec.Name, StringComparer.OrdinalIgnoreCase))
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, $"There is a token named '{spec.Name}'.", "Remove it first, or choose another name.");
            }
            if (names.Count >= Limit)
            {
                throw new GodwitException(ErrorCode.WrongState, $"There are {Limit} tokens already.", "Remove those that nobody uses.");
            }
            database.Execute(
                "INSERT INTO tokens (name, hash, role, created, expires) VALUES ($name, $hash, $role, $created, $expires)",
                ("$name", spec.Name), ("$hash", Hash(secret)), ("$role", (int)spec.Role),
                ("$created", created.ToUnixTimeMilliseconds()), ("$expires", expires?.ToUnixTimeMilliseconds()));
        });
        return new NewAccessToken(List().Single(token => token.Name == spec.Name), secret);
    }

    /// <summary>Removes a token; its bearer is refused from the next request on.</summary>
    /// <param name="name">The token.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public void Remove(string name)
    {
        if (database.Execute("DELETE FROM tokens WHERE name = $name", ("$name", name)) == 0)
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no token named '{name}'.", "'godwit token list' shows all.");
        }
    }

    /// <summary>The token of a secret, and notes that it was used.</summary>
    /// <param name="secret">What the caller has shown.</param>
    /// <returns>Null for a secret of no token, or of one that has expired.</returns>
    public AccessToken? Find(string secret)
    {
        var hash = Hash(secret);
        var now = time.GetUtcNow();
        var rows = database.Query(
            "SELECT name, role, created, expires, used FROM tokens WHERE hash = $hash", Map, ("$hash", hash));
        if (rows is not [var token] || token.Expires <= now)
        {
            return null;
        }
        if (token.LastUsed is not { } used || now - used >= UseResolution)
        {
            NoteUse(hash, now);
        }
        return token;
    }

    // A full disk must not lock out those who would make room.
    private void NoteUse(byte[] hash, DateTimeOffset now)
    {
        try
        {
            database.Execute(
                "UPDATE tokens SET used = $used WHERE hash = $hash", ("$used", now.ToUnixTimeMilliseconds()), ("$hash", hash));
        }
        catch (GodwitException e) when (e.Problem.Code is ErrorCode.NoSpace or ErrorCode.IoFailed or ErrorCode.Busy)
        {
            // Told by the next request that changes something.
        }
    }

    private static void Check(AccessTokenSpec spec)
    {
        if (!AccessTokenSpec.IsName(spec.Name))
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, "A token's name has 1 to 64 letters, digits, dots, underscores and hyphens.");
        }
        if (!Enum.IsDefined(spec.Role))
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "A token's role is Viewer, Operator or Administrator.");
        }
        if (spec.LifetimeSeconds is < 1 or > AccessTokenSpec.MaximumLifetime)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "A token lives from one second to ten years.", "Leave it out for ever.");
        }
    }

    private static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    private static AccessToken Map(SqliteDataReader row) => new(
        row.GetString(0), (Role)row.GetInt32(1), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2)), Moment(row, 3), Moment(row, 4));

    private static DateTimeOffset? Moment(SqliteDataReader row, int column) =>
        row.IsDBNull(column) ? null : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(column));
}
