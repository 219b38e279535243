using System.Text.Json.Serialization;

namespace Godwit.Api.Disks;

/// <summary>What a drive is attached to. Names and numbers are those of Hyper-V, apart from <see cref="Virtio"/>, which Hyper-V has not.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ControllerType>))]
public enum ControllerType
{
    /// <summary>Two controllers with two locations each, which every guest knows; generation 1 only.</summary>
    Ide = 0,

    /// <summary>Up to four controllers with 64 locations each (virtio-scsi); drives come and go while the VM runs.</summary>
    Scsi = 1,

    /// <summary>A device of its own for each disk (virtio-blk): the fastest one; no DVD drives, and nothing comes or goes while the VM runs.</summary>
    Virtio = 100,
}
