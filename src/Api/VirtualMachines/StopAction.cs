using System.Text.Json.Serialization;

namespace Godwit.Api.VirtualMachines;

/// <summary>What happens to a running VM when the host shuts down.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StopAction>))]
public enum StopAction
{
    /// <summary>It is turned off, like pulling the plug.</summary>
    TurnOff = 2,

    /// <summary>It is saved.</summary>
    Save = 3,

    /// <summary>The guest is asked to shut down.</summary>
    ShutDown = 4,
}
