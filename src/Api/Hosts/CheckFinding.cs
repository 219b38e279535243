using System.Text.Json.Serialization;

namespace Godwit.Api.Hosts;

/// <summary>One thing that was looked at on a host.</summary>
/// <param name="Id">What: stable, for scripts; "space", "qemu", "clock", …</param>
/// <param name="Severity">How it is.</param>
/// <param name="Title">In a sentence.</param>
/// <param name="Remedy">What to do about it; null when there is nothing to do.</param>
public sealed record CheckFinding(string Id, CheckSeverity Severity, string Title, string? Remedy = null);

/// <summary>How something is that was looked at.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CheckSeverity>))]
public enum CheckSeverity
{
    /// <summary>As it should be.</summary>
    Good = 0,

    /// <summary>It works; somebody should know.</summary>
    Warning = 1,

    /// <summary>Something does not work, or is about to stop working.</summary>
    Error = 2,
}
