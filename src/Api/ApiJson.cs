using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Api.Access;
using Godwit.Api.Disks;
using Godwit.Api.Hosts;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;

namespace Godwit.Api;

/// <summary>Serialization of everything that crosses a process boundary, generated at build time so that NativeAOT can use it.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(Disk))]
[JsonSerializable(typeof(VirtualMachine))]
[JsonSerializable(typeof(IReadOnlyList<VirtualMachine>))]
[JsonSerializable(typeof(IReadOnlyList<VirtualMachineStatistics>))]
[JsonSerializable(typeof(DiskLimitSpec))]
[JsonSerializable(typeof(DiskPoint))]
[JsonSerializable(typeof(DiskPointSpec))]
[JsonSerializable(typeof(IReadOnlyList<DiskPoint>))]
[JsonSerializable(typeof(VirtualMachineSpec))]
[JsonSerializable(typeof(DvdMedium))]
[JsonSerializable(typeof(SettingsChange))]
[JsonSerializable(typeof(RenameRequest))]
[JsonSerializable(typeof(CheckpointList))]
[JsonSerializable(typeof(CheckpointSpec))]
[JsonSerializable(typeof(ApplyRequest))]
[JsonSerializable(typeof(Checkpoint))]
[JsonSerializable(typeof(RescanRequest))]
[JsonSerializable(typeof(IReadOnlyList<RescanFinding>))]
[JsonSerializable(typeof(IReadOnlyList<CheckFinding>))]
[JsonSerializable(typeof(StopRequest))]
[JsonSerializable(typeof(IReadOnlyList<StoppedVirtualMachine>))]
[JsonSerializable(typeof(StorageMoveRequest))]
[JsonSerializable(typeof(StorageMovePlan))]
[JsonSerializable(typeof(Job))]
[JsonSerializable(typeof(IReadOnlyList<Job>))]
[JsonSerializable(typeof(HostStatus))]
[JsonSerializable(typeof(IReadOnlyList<AccessToken>))]
[JsonSerializable(typeof(AccessTokenSpec))]
[JsonSerializable(typeof(NewAccessToken))]
[JsonSerializable(typeof(AuditPage))]
[JsonSerializable(typeof(CertificateStatus))]
[JsonSerializable(typeof(CertificateSpec))]
[JsonSerializable(typeof(JoinTokenSpec))]
[JsonSerializable(typeof(JoinToken))]
[JsonSerializable(typeof(JoinRequest))]
[JsonSerializable(typeof(JoinAnswer))]
[JsonSerializable(typeof(AuthorityCertificate))]
[JsonSerializable(typeof(MembershipSpec))]
[JsonSerializable(typeof(IReadOnlyList<AuditEntry>))]
[JsonSerializable(typeof(ImageReport))]
[JsonSerializable(typeof(WorkerRequest))]
[JsonSerializable(typeof(WorkerReply))]
[JsonSerializable(typeof(WorkerConfig))]
[JsonSerializable(typeof(ParentFolders))]
public sealed partial class ApiJson : JsonSerializerContext;
