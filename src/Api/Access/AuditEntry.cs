using System.Text.Json.Serialization;

namespace Godwit.Api.Access;

/// <summary>How a caller came in, which is how it is known who it is.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CallerOrigin>))]
public enum CallerOrigin
{
    /// <summary>Nobody known: no token, or one that is not good.</summary>
    Unknown = 0,

    /// <summary>The unix socket; the kernel says which user.</summary>
    UnixSocket = 1,

    /// <summary>A token over TLS.</summary>
    Token = 2,

    /// <summary>A certificate of this host's authority over TLS: another host.</summary>
    Certificate = 3,
}

/// <summary>One request to change something.</summary>
/// <param name="Number">Grows from entry to entry.</param>
/// <param name="Time">When it came.</param>
/// <param name="Caller">Who: "user:root", "token:anna", "host:h2"; empty when that is not known.</param>
/// <param name="Role">What the caller may do; null for nothing.</param>
/// <param name="Origin">How the caller came in.</param>
/// <param name="Address">The caller's network address; null on the unix socket.</param>
/// <param name="Method">The method of HTTP.</param>
/// <param name="Route">Which endpoint: "/v1/vms/{name}/start"; null when there is none.</param>
/// <param name="Target">The path that was asked for.</param>
/// <param name="Status">The answer's status; null while it is being done, or when godwitd ended in the middle.</param>
/// <param name="Code">The error code of the answer; null when there is none.</param>
/// <param name="RequestId">The answer's X-Request-Id.</param>
public sealed record AuditEntry(
    long Number,
    DateTimeOffset Time,
    string Caller,
    Role? Role,
    CallerOrigin Origin,
    string? Address,
    string Method,
    string? Route,
    string Target,
    int? Status,
    ErrorCode? Code,
    string RequestId);

/// <summary>A part of the audit log.</summary>
/// <param name="Entries">Newest first.</param>
/// <param name="Next">Given as "after" it answers with the entries before these; null when there are none.</param>
public sealed record AuditPage(IReadOnlyList<AuditEntry> Entries, long? Next = null);
