using System.Text.Json.Serialization;

namespace Godwit.Api.Jobs;

/// <summary>Where a job stands. The numbers are stored in the journal and never change meaning.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobState>))]
public enum JobState
{
    /// <summary>Accepted, waiting for its turn.</summary>
    Queued = 0,

    /// <summary>Working.</summary>
    Running = 1,

    /// <summary>Cancel was asked for or a step failed; the steps are being undone.</summary>
    Undoing = 2,

    /// <summary>Done, and its result verified.</summary>
    Succeeded = 3,

    /// <summary>Failed. Before the commit point everything it had done is undone; after it the problem says what is left to do.</summary>
    Failed = 4,

    /// <summary>Cancelled; everything it had done is undone.</summary>
    Cancelled = 5,
}
