using System.Text.Json.Serialization;

namespace Godwit.Api.Hosts;

/// <summary>A configuration file that was found.</summary>
/// <param name="File">The file.</param>
/// <param name="Name">The VM's name, when the file could be read.</param>
/// <param name="Outcome">What was done, or would be.</param>
/// <param name="Problem">Why it was left out, or what to know; null when there is nothing to say.</param>
public sealed record RescanFinding(string File, string? Name, RescanOutcome Outcome, Problem? Problem = null);

/// <summary>What became of a configuration file that was found.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RescanOutcome>))]
public enum RescanOutcome
{
    /// <summary>The VM is known and as the file says.</summary>
    Unchanged = 0,

    /// <summary>The VM was not known and is now.</summary>
    Added = 1,

    /// <summary>The VM is known; file and index did not say the same, and do now.</summary>
    Updated = 2,

    /// <summary>The file was left out.</summary>
    Refused = 3,
}
