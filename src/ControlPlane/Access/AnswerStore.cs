using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.Access;

/// <summary>An answer that is given again to who asks the same again.</summary>
/// <param name="Status">The status of HTTP.</param>
/// <param name="ContentType">Of the body; null without one.</param>
/// <param name="Location">Where what was made is; null when nothing was.</param>
/// <param name="Body">As it was sent.</param>
public sealed record StoredAnswer(int Status, string? ContentType, string? Location, byte[] Body);

/// <summary>What is known of a request with an idempotency key.</summary>
public enum RepeatKind
{
    /// <summary>It is new, and noted from now on.</summary>
    New,

    /// <summary>It was answered; the answer is there.</summary>
    Answered,

    /// <summary>It has begun and was not answered: it is being done, or godwitd ended in the middle.</summary>
    Unanswered,

    /// <summary>The key was used for another request.</summary>
    Different,
}

/// <summary>Answers to requests with idempotency keys, for a day.</summary>
/// <remarks>Thread-safe. A request is noted before it is done: after a kill it is known that it may have been.</remarks>
/// <param name="database">The host's store.</param>
/// <param name="time">The clock answers grow old by.</param>
public sealed class AnswerStore(Database database, TimeProvider time)
{
    /// <summary>The most answers kept of one caller; the oldest goes first.</summary>
    public const int MaximumPerCaller = 1000;

    /// <summary>How long an answer is kept.</summary>
    public static TimeSpan Life { get; } = TimeSpan.FromDays(1);

    /// <summary>Looks a request up, and notes it when it is new.</summary>
    /// <param name="caller">Who asks: keys of others do not count.</param>
    /// <param name="key">The key.</param>
    /// <param name="request">A hash of all that makes the request.</param>
    public (RepeatKind Kind, StoredAnswer? Answer) Begin(string caller, string key, byte[] request)
    {
        (RepeatKind, StoredAnswer?) found = (RepeatKind.New, null);
        database.Transact(() =>
        {
            var now = time.GetUtcNow();
            database.Execute("DELETE FROM answers WHERE created <= $old", ("$old", (now - Life).ToUnixTimeMilliseconds()));
            var rows = database.Query(
                "SELECT request, status, type, location, body FROM answers WHERE caller = $caller AND key = $key",
                row => (Request: (byte[])row.GetValue(0), Answer: row.IsDBNull(1)
                    ? null
                    : new StoredAnswer(row.GetInt32(1), row.IsDBNull(2) ? null : row.GetString(2), row.IsDBNull(3) ? null : row.GetString(3), (byte[])row.GetValue(4))),
                ("$caller", caller), ("$key", key));
            if (rows is [var (before, answer)])
            {
                found = !before.AsSpan().SequenceEqual(request) ? (RepeatKind.Different, null)
                    : answer is null ? (RepeatKind.Unanswered, null) : (RepeatKind.Answered, answer);
                return;
            }
            database.Execute(
                "INSERT INTO answers (caller, key, request, created) VALUES ($caller, $key, $request, $created)",
                ("$caller", caller), ("$key", key), ("$request", request), ("$created", now.ToUnixTimeMilliseconds()));
            database.Execute(
                "DELETE FROM answers WHERE caller = $caller AND rowid IN"
                + " (SELECT rowid FROM answers WHERE caller = $caller ORDER BY created DESC, rowid DESC LIMIT -1 OFFSET $most)",
                ("$caller", caller), ("$most", MaximumPerCaller));
        });
        return found;
    }

    /// <summary>Keeps the answer of a request that was noted.</summary>
    /// <param name="caller">Who asked.</param>
    /// <param name="key">The key.</param>
    /// <param name="answer">The answer.</param>
    public void Complete(string caller, string key, StoredAnswer answer) => database.Execute(
        "UPDATE answers SET status = $status, type = $type, location = $location, body = $body WHERE caller = $caller AND key = $key",
        ("$status", answer.Status), ("$type", answer.ContentType), ("$location", answer.Location), ("$body", answer.Body),
        ("$caller", caller), ("$key", key));

    /// <summary>Forgets a request that was noted and refused: it may be asked again with the same key.</summary>
    /// <param name="caller">Who asked.</param>
    /// <param name="key">The key.</param>
    public void Forget(string caller, string key) =>
        database.Execute("DELETE FROM answers WHERE caller = $caller AND key = $key", ("$caller", caller), ("$key", key));
}
