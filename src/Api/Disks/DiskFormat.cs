using System.Text.Json.Serialization;

namespace Godwit.Api.Disks;

/// <summary>How an image file is laid out.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DiskFormat>))]
public enum DiskFormat
{
    /// <summary>Byte n of the disk is byte n of the file.</summary>
    Raw = 0,

    /// <summary>VHDX whose blocks are allocated as they are written.</summary>
    VhdxDynamic = 1,

    /// <summary>VHDX with every block allocated at creation.</summary>
    VhdxFixed = 2,

    /// <summary>VHDX that holds what differs from its parent.</summary>
    VhdxDifferencing = 3,

    /// <summary>VHD with every block allocated at creation.</summary>
    VhdFixed = 4,

    /// <summary>VHD whose blocks are allocated as they are written.</summary>
    VhdDynamic = 5,

    /// <summary>VHD that holds what differs from its parent.</summary>
    VhdDifferencing = 6,
}
