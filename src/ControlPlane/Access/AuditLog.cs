using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Store;
using Microsoft.Data.Sqlite;

namespace Godwit.ControlPlane.Access;

/// <summary>Who asked to change what, and what came of it. A change is written down before it is made, so that one whose
/// daemon was killed is there too, without a result.</summary>
/// <remarks>Thread-safe. What was refused is bounded apart from what was done: a caller without any right cannot push out
/// what others did by asking a million times.</remarks>
/// <param name="database">The host's store.</param>
/// <param name="keep">Changes that are kept.</param>
/// <param name="keepRefused">Refused requests that are kept.</param>
public sealed class AuditLog(Database database, int keep = 100_000, int keepRefused = 10_000)
{
    /// <summary>The most entries of one page.</summary>
    public const int MaximumPage = 1000;

    private const int LongestText = 1000;

    // Now and then: there may be so many more than are kept.
    private const int Slack = 64;

    private const string Columns = "number, time, caller, role, origin, address, method, route, target, status, code, request";

    /// <summary>Writes an entry. One without status is completed later.</summary>
    /// <param name="entry">The entry; its number is given here.</param>
    /// <param name="refused">It was not allowed, so nothing has been done.</param>
    /// <returns>Its number.</returns>
    public long Add(AuditEntry entry, bool refused)
    {
        var number = database.Query(
            "INSERT INTO audit (time, caller, role, origin, address, method, route, target, refused, status, code, request)"
            + " VALUES ($time, $caller, $role, $origin, $address, $method, $route, $target, $refused, $status, $code, $request)"
            + " RETURNING number",
            row => row.GetInt64(0),
            ("$time", entry.Time.ToUnixTimeMilliseconds()), ("$caller", entry.Caller), ("$role", (int?)entry.Role),
            ("$origin", (int)entry.Origin), ("$address", entry.Address), ("$method", Cut(entry.Method)), ("$route", entry.Route),
            ("$target", Cut(entry.Target)), ("$refused", refused ? 1 : 0), ("$status", entry.Status), ("$code", (int?)entry.Code),
            ("$request", Cut(entry.RequestId)))[0];
        if (number % Slack == 0)
        {
            Trim(0, keep);
            Trim(1, keepRefused);
        }
        return number;
    }

    /// <summary>Writes what came of a change.</summary>
    /// <param name="number">Its entry.</param>
    /// <param name="status">The answer's status.</param>
    /// <param name="code">The answer's error code.</param>
    public void Complete(long number, int status, ErrorCode? code) => database.Execute(
        "UPDATE audit SET status = $status, code = $code WHERE number = $number",
        ("$status", status), ("$code", (int?)code), ("$number", number));

    /// <summary>A page, newest first.</summary>
    /// <param name="limit">Entries wanted, 1 to <see cref="MaximumPage"/>.</param>
    /// <param name="after">Only what stands behind this entry, that is, what is older; null begins with the newest.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: the limit is out of range.</exception>
    public AuditPage Read(int limit, long? after)
    {
        if (limit is < 1 or > MaximumPage)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, $"limit is 1 to {MaximumPage}.");
        }
        var rows = database.Query(
            $"SELECT {Columns} FROM audit WHERE number < $after ORDER BY number DESC LIMIT $limit", Map,
            ("$after", after ?? long.MaxValue), ("$limit", limit + 1));
        return rows.Count > limit ? new AuditPage(rows[..limit], rows[limit - 1].Number) : new AuditPage(rows);
    }

    private void Trim(int refused, int bound) => database.Execute(
        "DELETE FROM audit WHERE refused = $refused AND number <="
        + " (SELECT number FROM audit WHERE refused = $refused ORDER BY number DESC LIMIT 1 OFFSET $bound)",
        ("$refused", refused), ("$bound", bound));

    private static string Cut(string text) => text.Length <= LongestText ? text : text[..LongestText];

    private static AuditEntry Map(SqliteDataReader row) => new(
        row.GetInt64(0), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1)), row.GetString(2),
        row.IsDBNull(3) ? null : (Role)row.GetInt32(3), (CallerOrigin)row.GetInt32(4), Text(row, 5), row.GetString(6), Text(row, 7),
        row.GetString(8), row.IsDBNull(9) ? null : row.GetInt32(9), row.IsDBNull(10) ? null : (ErrorCode)row.GetInt32(10), row.GetString(11));

    private static string? Text(SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
