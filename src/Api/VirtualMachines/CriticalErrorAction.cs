using System.Text.Json.Serialization;

namespace Godwit.Api.VirtualMachines;

/// <summary>What happens to a VM whose disk cannot be reached. It is paused in any case: no guest ever sees the error.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CriticalErrorAction>))]
public enum CriticalErrorAction
{
    /// <summary>It waits as long as it takes.</summary>
    None = 0,

    /// <summary>It waits for the time that is set and is then turned off.</summary>
    Pause = 1,
}
