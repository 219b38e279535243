using System.Text.Json.Serialization;

namespace Godwit.Api.VirtualMachines;

/// <summary>What a VM is doing, as observed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<VirtualMachineState>))]
public enum VirtualMachineState
{
    /// <summary>No QEMU process.</summary>
    Off = 0,

    /// <summary>Being started.</summary>
    Starting = 1,

    /// <summary>vCPUs run.</summary>
    Running = 2,

    /// <summary>vCPUs stopped on request.</summary>
    Paused = 3,

    /// <summary>vCPUs stopped because a disk cannot be reached; goes on by itself when it can.</summary>
    PausedCritical = 4,

    /// <summary>Asked to shut down.</summary>
    Stopping = 5,

    /// <summary>No QEMU process; memory and devices are in a file from which it goes on.</summary>
    Saved = 6,

    /// <summary>Memory and devices are being written to a file.</summary>
    Saving = 7,
}
