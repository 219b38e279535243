using System.Text.Json.Serialization;

namespace Godwit.Api.VirtualMachines;

/// <summary>What happens to a VM when the host has started.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StartAction>))]
public enum StartAction
{
    /// <summary>It stays off.</summary>
    Nothing = 2,

    /// <summary>It is started when it ran before the host went down.</summary>
    StartIfRunning = 3,

    /// <summary>It is started.</summary>
    Start = 4,
}
