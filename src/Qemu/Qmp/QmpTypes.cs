using System.Text.Json.Serialization;

namespace Godwit.Qemu.Qmp;

/// <summary>What QEMU answers to a command that returns nothing.</summary>
public sealed record QmpNothing;

/// <summary>Answer to query-status.</summary>
/// <param name="Status">"running", "paused", "io-error", "prelaunch", "shutdown", "postmigrate", …</param>
/// <param name="Running">vCPUs run.</param>
public sealed record QmpStatus(string Status, bool Running);

/// <summary>Answer to query-uuid.</summary>
/// <param name="Value">The VM's id.</param>
public sealed record QmpUuid([property: JsonPropertyName("UUID")] Guid Value);

/// <summary>Answer to query-kvm.</summary>
/// <param name="Enabled">KVM runs the guest.</param>
/// <param name="Present">This QEMU could use KVM.</param>
public sealed record QmpKvm(bool Enabled, bool Present);

/// <summary>One entry of query-named-block-nodes, as far as it is used.</summary>
/// <param name="NodeName">Name of the node.</param>
/// <param name="Driver">Its driver, for example "nbd".</param>
/// <param name="Active">False while another QEMU may use the image.</param>
/// <param name="ReadOnly">Opened for reading only.</param>
public sealed record QmpBlockNode(
    [property: JsonPropertyName("node-name")] string NodeName,
    [property: JsonPropertyName("drv")] string Driver,
    [property: JsonPropertyName("active")] bool Active,
    [property: JsonPropertyName("ro")] bool ReadOnly);

/// <summary>Arguments of query-named-block-nodes.</summary>
/// <param name="Flat">Leave out what is below each node.</param>
public sealed record QmpBlockNodeQuery(bool Flat);

/// <summary>Arguments of yank.</summary>
/// <param name="Instances">What to tear loose.</param>
public sealed record QmpYank(IReadOnlyList<QmpYankInstance> Instances);

/// <summary>Something that can hang in the network and be torn loose.</summary>
/// <param name="Type">"block-node", "chardev" or "migration".</param>
/// <param name="NodeName">The node, when it is one.</param>
public sealed record QmpYankInstance(
    string Type,
    [property: JsonPropertyName("node-name"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NodeName = null);

/// <summary>Arguments of qmp_capabilities.</summary>
/// <param name="Enable">Capabilities to switch on.</param>
public sealed record QmpCapabilities(IReadOnlyList<string> Enable);

/// <summary>Serialization of QMP's arguments and answers, generated at build time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower)]
[JsonSerializable(typeof(QmpNothing))]
[JsonSerializable(typeof(QmpStatus))]
[JsonSerializable(typeof(QmpUuid))]
[JsonSerializable(typeof(QmpKvm))]
[JsonSerializable(typeof(List<QmpBlockNode>))]
[JsonSerializable(typeof(QmpBlockNodeQuery))]
[JsonSerializable(typeof(List<QmpDrive>))]
[JsonSerializable(typeof(QmpDriveId))]
[JsonSerializable(typeof(QmpOpenTray))]
[JsonSerializable(typeof(QmpInsertMedium))]
[JsonSerializable(typeof(QmpFileNode))]
[JsonSerializable(typeof(QmpNodeName))]
[JsonSerializable(typeof(QmpYank))]
[JsonSerializable(typeof(QmpCapabilities))]
[JsonSerializable(typeof(QmpProperty))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(QmpMigrationCapabilities))]
[JsonSerializable(typeof(QmpMigrationParameters))]
[JsonSerializable(typeof(QmpMigrationChannels))]
[JsonSerializable(typeof(QmpMigration))]
internal sealed partial class QmpJson : JsonSerializerContext;
