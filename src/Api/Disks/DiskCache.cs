using System.Text.Json.Serialization;

namespace Godwit.Api.Disks;

/// <summary>When a guest's write is done, and what it passes through; the words and meanings are QEMU's.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DiskCache>))]
public enum DiskCache
{
    /// <summary>When it is in the host's page cache. The guest sees a disk with a write cache and flushes it.</summary>
    Writeback = 0,

    /// <summary>When it survives a power cut. The guest sees a disk without a write cache.</summary>
    Writethrough = 1,

    /// <summary>When the host's disk has taken it: reads and writes go around the page cache. The guest sees a disk with a write cache and
    /// flushes it.</summary>
    None = 2,
}
