using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>One storage move while it is being driven: what its steps share.</summary>
internal sealed class StorageMove(VirtualMachineParts parts, StorageMoveOrder order)
{
    public JobWorker Worker { get; } = new(parts, order.Vm);

    public static TimeSpan PollInterval => JobWorker.PollInterval;

    public static TimeSpan Patience => JobWorker.Patience;

    public VirtualMachineParts Parts => parts;

    public StorageMoveRequest Request => order.Request;

    public StorageMovePlan Plan => order.Plan;

    public IReadOnlyList<StorageMoveItem> Items => order.Plan.Items;

    /// <summary>The folder that receives the files, links resolved.</summary>
    public string Folder => Path.GetDirectoryName(Items[0].Target)!;

    public StorageMoveProgress Progress { get; } = new(order.Plan);

    public VirtualMachineRecord Vm => Worker.Vm;

    /// <inheritdoc cref="JobWorker.AskAsync(JobContext, WorkerRequest, TimeSpan, CancellationToken)"/>
    public Task<WorkerStatus> AskAsync(JobContext context, WorkerRequest request, TimeSpan patience, CancellationToken cancellationToken) =>
        Worker.AskAsync(context, request, patience, cancellationToken);

    public Task<WorkerStatus> AskAsync(JobContext context, WorkerRequest request, CancellationToken cancellationToken) =>
        Worker.AskAsync(context, request, cancellationToken);

    /// <summary>The disk as the worker serves it.</summary>
    public static WorkerDiskStatus Served(WorkerStatus status, StorageMoveItem item) => JobWorker.Served(status, item.Disk);

    /// <summary>This job's mirror of the disk, or null.</summary>
    public static MirrorStatus? Mirror(WorkerStatus status, StorageMoveItem item, Guid job) =>
        Served(status, item).Mirror is { } mirror && mirror.JobId == job ? mirror : null;

    /// <summary>The worker's word on the disk's commit point.</summary>
    public static bool IsSwitched(WorkerStatus status, StorageMoveItem item, Guid job) =>
        Served(status, item).Path == item.Target || Mirror(status, item, job)?.State == MirrorState.Switched;
}
