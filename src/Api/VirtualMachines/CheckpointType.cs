using System.Text.Json.Serialization;

namespace Godwit.Api.VirtualMachines;

/// <summary>What a checkpoint keeps. Names and numbers are those of Hyper-V.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CheckpointType>))]
public enum CheckpointType
{
    /// <summary>No checkpoints are taken.</summary>
    Disabled = 2,

    /// <summary>The disks, while the guest holds its file systems still; a standard one where the guest cannot.</summary>
    Production = 3,

    /// <summary>The disks, while the guest holds its file systems still; refused where the guest cannot.</summary>
    ProductionOnly = 4,

    /// <summary>The disks and, of a VM that runs, memory and devices.</summary>
    Standard = 5,
}
