using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.Access;

/// <summary>Tokens that let one host join, once, within minutes. They say which host, so that who gets hold of one cannot
/// become another.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="database">The host's store.</param>
/// <param name="time">The clock tokens expire by.</param>
public sealed class JoinTokenStore(Database database, TimeProvider time)
{
    private const int Limit = 100;

    /// <summary>How long a token is good.</summary>
    public static TimeSpan Life { get; } = TimeSpan.FromMinutes(15);

    /// <summary>Makes a token.</summary>
    /// <param name="host">The host that may join; checked by the caller.</param>
    /// <param name="names">What its certificate is to be for; checked by the caller.</param>
    /// <returns>The secret, which is not to be had again, and until when it is good.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: too many wait to be used.</exception>
    public (string Secret, DateTimeOffset Expires) Create(string host, IReadOnlyList<string> names)
    {
        var secret = "godwit-join_" + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var now = time.GetUtcNow();
        database.Transact(() =>
        {
            database.Execute("DELETE FROM join_tokens WHERE expires <= $now", ("$now", now.ToUnixTimeMilliseconds()));
            if (database.Query("SELECT COUNT(*) FROM join_tokens", row => row.GetInt32(0))[0] >= Limit)
            {
                throw new GodwitException(ErrorCode.WrongState, $"{Limit} join tokens wait to be used.", "They go after 15 minutes.");
            }
            database.Execute(
                "INSERT INTO join_tokens (hash, name, addresses, expires) VALUES ($hash, $name, $names, $expires)",
                ("$hash", Hash(secret)), ("$name", host), ("$names", JsonSerializer.Serialize(names, StoreJson.Default.IReadOnlyListString)),
                ("$expires", (now + Life).ToUnixTimeMilliseconds()));
        });
        return (secret, now + Life);
    }

    /// <summary>Uses a token up. Of two that try at the same time one gets it.</summary>
    /// <param name="secret">What the joining host has shown.</param>
    /// <returns>The host and the names of its certificate; null for a token that is unknown, used or expired, which look alike.</returns>
    public (string Host, IReadOnlyList<string> Names)? Redeem(string secret)
    {
        var hash = Hash(secret);
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        (string Host, IReadOnlyList<string> Names)? found = null;
        database.Transact(() =>
        {
            var rows = database.Query(
                "SELECT hash, name, addresses FROM join_tokens WHERE expires > $now",
                row => (Hash: (byte[])row.GetValue(0), Host: row.GetString(1), Names: row.GetString(2)), ("$now", now));
            // All of them, each in one time: how long it takes says nothing about any.
            foreach (var row in rows)
            {
                if (CryptographicOperations.FixedTimeEquals(row.Hash, hash))
                {
                    found = (row.Host, JsonSerializer.Deserialize(row.Names, StoreJson.Default.IReadOnlyListString) ?? []);
                }
            }
            if (found is not null)
            {
                database.Execute("DELETE FROM join_tokens WHERE hash = $hash", ("$hash", hash));
            }
        });
        return found;
    }

    private static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
