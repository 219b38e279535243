using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Migrations;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Store;

/// <summary>How records are kept in the store. Members are only ever added, never renamed.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(VirtualMachineRecord))]
[JsonSerializable(typeof(StorageMoveOrder))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(JobProgress))]
[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class StoreJson : JsonSerializerContext;
