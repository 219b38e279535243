using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Store;

/// <summary>How a VM's record is kept beside it: to be read by people, and put right by them when need be.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(VirtualMachineFile))]
internal sealed partial class ConfigurationJson : JsonSerializerContext;
