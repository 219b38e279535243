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
}
