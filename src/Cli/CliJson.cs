using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Cli.Disks;

namespace Godwit.Cli;

/// <summary>Serialization of what only this program writes, generated at build time so that NativeAOT can use it.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(DiskReport))]
[JsonSerializable(typeof(DiskCheckReport))]
[JsonSerializable(typeof(DiskExtent))]
[JsonSerializable(typeof(DiskMergeReport))]
[JsonSerializable(typeof(DiskParentReport))]
[JsonSerializable(typeof(DiskHashReport))]
[JsonSerializable(typeof(DiskCompareReport))]
[JsonSerializable(typeof(DiskConvertPlan))]
[JsonSerializable(typeof(DiskConvertReport))]
[JsonSerializable(typeof(DiskCopyReport))]
[JsonSerializable(typeof(DiskServeReport))]
[JsonSerializable(typeof(DiskCompactReport))]
[JsonSerializable(typeof(DiskResizeReport))]
[JsonSerializable(typeof(DiskRepairReport))]
[JsonSerializable(typeof(DiskRestoreReport))]
internal sealed partial class CliJson : JsonSerializerContext;
