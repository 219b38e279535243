using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Migrations;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Godwit.ControlPlane.VirtualMachines.Creating;
using Godwit.ControlPlane.VirtualMachines.Removing;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.Store;

/// <summary>How records are kept in the store. Members are only ever added, never renamed.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(VirtualMachineRecord))]
[JsonSerializable(typeof(StorageMoveOrder))]
[JsonSerializable(typeof(CreateOrder))]
[JsonSerializable(typeof(RemoveOrder))]
[JsonSerializable(typeof(SaveOrder))]
[JsonSerializable(typeof(CheckpointOrder))]
[JsonSerializable(typeof(ApplyOrder))]
[JsonSerializable(typeof(MergeOrder))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(JobProgress))]
[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class StoreJson : JsonSerializerContext;
