using System.Text.Json.Serialization;

namespace Godwit.Qemu.Qmp;

/// <summary>Arguments of qom-get.</summary>
/// <param name="Path">The object.</param>
/// <param name="Property">Its property.</param>
public sealed record QmpProperty(string Path, string Property);

/// <summary>Arguments of migrate-set-capabilities.</summary>
/// <param name="Capabilities">What to switch.</param>
public sealed record QmpMigrationCapabilities(IReadOnlyList<QmpMigrationCapability> Capabilities);

/// <summary>One way of transferring.</summary>
/// <param name="Capability">For example "multifd".</param>
/// <param name="State">On or off.</param>
public sealed record QmpMigrationCapability(string Capability, bool State = true);

/// <summary>Arguments of migrate-set-parameters, as far as they are used.</summary>
/// <param name="MaxBandwidth">Bytes per second; 0 for as fast as possible.</param>
/// <param name="MultifdChannels">Threads that write or read.</param>
public sealed record QmpMigrationParameters(long MaxBandwidth, int MultifdChannels);

/// <summary>Arguments of migrate and migrate-incoming.</summary>
/// <param name="Channels">Where to or from; one.</param>
public sealed record QmpMigrationChannels(IReadOnlyList<QmpMigrationChannel> Channels)
{
    /// <summary>A file from its start.</summary>
    public static QmpMigrationChannels File(string path) => new([new QmpMigrationChannel("main", new QmpFileAddress("file", path, 0))]);
}

/// <summary>One channel.</summary>
/// <param name="ChannelType">"main".</param>
/// <param name="Address">Where to or from.</param>
public sealed record QmpMigrationChannel(string ChannelType, [property: JsonPropertyName("addr")] QmpFileAddress Address);

/// <summary>A file.</summary>
/// <param name="Transport">"file".</param>
/// <param name="Filename">Its absolute path.</param>
/// <param name="Offset">Where in it, in bytes.</param>
public sealed record QmpFileAddress(string Transport, string Filename, long Offset);

/// <summary>Answer to query-migrate, as far as it is used.</summary>
/// <param name="Status">"setup", "active", "device", "completed", "failed", "cancelling", "cancelled"; null when there was none.</param>
/// <param name="ErrorDesc">Why it failed.</param>
/// <param name="Ram">How far the memory is.</param>
public sealed record QmpMigration(string? Status = null, string? ErrorDesc = null, QmpMigrationRam? Ram = null);

/// <summary>How far the memory is.</summary>
/// <param name="Transferred">Bytes that went over so far.</param>
/// <param name="Remaining">Bytes of guest memory still to be looked at.</param>
/// <param name="Total">Bytes of guest memory.</param>
public sealed record QmpMigrationRam(long Transferred, long Remaining, long Total);
