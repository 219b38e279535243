using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>One storage move while it is being driven: what its steps share.</summary>
internal sealed class StorageMove(VirtualMachineParts parts, StorageMoveOrder order)
{
    private const string WorkerFact = "worker";

    public static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a worker may be away before a step fails. The supervisor needs milliseconds, a lost supervisor
    /// one round of the reconcile loop; the rest is for a slow machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public VirtualMachineParts Parts => parts;

    public StorageMoveRequest Request => order.Request;

    public StorageMovePlan Plan => order.Plan;

    public IReadOnlyList<StorageMoveItem> Items => order.Plan.Items;

    /// <summary>The folder that receives the files, links resolved.</summary>
    public string Folder => Path.GetDirectoryName(Items[0].Target)!;

    public StorageMoveProgress Progress { get; } = new(order.Plan);

    public VirtualMachineRecord Vm => parts.Vms.Find(order.Vm) ?? throw new GodwitException(
        ErrorCode.NotFound, "The VM has been removed.");

    /// <summary>Asks the worker, again and again while it is away: a worker that is being restarted is waited for.</summary>
    /// <exception cref="GodwitException">The worker refused, or stayed away longer than <paramref name="patience"/>.</exception>
    public async Task<WorkerStatus> AskAsync(
        JobContext context, WorkerRequest request, TimeSpan patience, CancellationToken cancellationToken)
    {
        var since = context.Time.GetTimestamp();
        var told = false;
        while (true)
        {
            try
            {
                return Accept(context, await parts.Workers.AskAsync(order.Vm, request, cancellationToken).ConfigureAwait(false));
            }
            catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable
                && (patience == Timeout.InfiniteTimeSpan || context.Time.GetElapsedTime(since) < patience))
            {
                if (!told)
                {
                    told = true;
                    context.Note("the disk worker does not answer; waiting for it");
                }
            }
            await RevivedAsync(cancellationToken).ConfigureAwait(false);
            await Task.Delay(PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    public Task<WorkerStatus> AskAsync(JobContext context, WorkerRequest request, CancellationToken cancellationToken) =>
        AskAsync(context, request, Patience, cancellationToken);

    /// <summary>The disk as the worker serves it.</summary>
    public static WorkerDiskStatus Served(WorkerStatus status, StorageMoveItem item) =>
        status.Disks.FirstOrDefault(disk => disk.Name == item.Disk) ?? throw new GodwitException(
            ErrorCode.Internal, $"The worker does not serve {item.Disk}.");

    /// <summary>This job's mirror of the disk, or null.</summary>
    public static MirrorStatus? Mirror(WorkerStatus status, StorageMoveItem item, Guid job) =>
        Served(status, item).Mirror is { } mirror && mirror.JobId == job ? mirror : null;

    /// <summary>The worker's word on the disk's commit point.</summary>
    public static bool IsSwitched(WorkerStatus status, StorageMoveItem item, Guid job) =>
        Served(status, item).Path == item.Target || Mirror(status, item, job)?.State == MirrorState.Switched;

    /// <summary>Stops the worker when nobody uses it. The gate keeps a start of the VM out meanwhile.</summary>
    public async Task ReleaseWorkerAsync(CancellationToken cancellationToken)
    {
        using var passage = await parts.Gates.EnterAsync(order.Vm, cancellationToken).ConfigureAwait(false);
        var status = await parts.Runtime.ObserveAsync(Vm, cancellationToken).ConfigureAwait(false);
        if (status.IsOff)
        {
            await parts.Workers.StopAsync(order.Vm, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task RevivedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await parts.Workers.EnsureAsync(Vm, cancellationToken).ConfigureAwait(false);
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable)
        {
            // Still away: the caller's patience decides.
        }
    }

    private static WorkerStatus Accept(JobContext context, WorkerReply reply)
    {
        if (reply.Problem is { } problem)
        {
            throw new GodwitException(problem);
        }
        var status = reply.Status ?? throw new GodwitException(ErrorCode.Internal, "The worker sent an empty reply.");
        var process = status.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var before = context.GetFact(WorkerFact);
        if (before != process)
        {
            context.SetFact(WorkerFact, process);
            if (before is not null)
            {
                context.Note($"worker restarted (process {before} -> {process})");
            }
        }
        return status;
    }
}
