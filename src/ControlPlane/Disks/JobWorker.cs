using System.Globalization;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Disks;

/// <summary>The worker of a VM as a job talks to it: with patience while it is away.</summary>
internal sealed class JobWorker(VirtualMachineParts parts, Guid vm)
{
    private const string WorkerFact = "worker";

    public static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a worker may be away before a step fails. The supervisor needs milliseconds, a lost supervisor
    /// one round of the reconcile loop; the rest is for a slow machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public VirtualMachineRecord Vm => parts.Vms.Find(vm) ?? throw new GodwitException(ErrorCode.NotFound, "The VM has been removed.");

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
                return Accept(context, await parts.Workers.AskAsync(vm, request, cancellationToken).ConfigureAwait(false));
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

    /// <summary>Makes sure that it runs and answers.</summary>
    public Task EnsureAsync(CancellationToken cancellationToken) => parts.Workers.EnsureAsync(Vm, cancellationToken);

    /// <summary>Stops the worker when nobody uses it. The gate keeps a start of the VM out meanwhile.</summary>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        using var passage = await parts.Gates.EnterAsync(vm, cancellationToken).ConfigureAwait(false);
        if ((await parts.Runtime.ObserveAsync(Vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            await parts.Workers.StopAsync(vm, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The disk as the worker serves it.</summary>
    public static WorkerDiskStatus Served(WorkerStatus status, string disk) =>
        status.Disks.FirstOrDefault(served => served.Name == disk) ?? throw new GodwitException(
            ErrorCode.Internal, $"The worker does not serve {disk}.");

    private async Task RevivedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await EnsureAsync(cancellationToken).ConfigureAwait(false);
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
        var process = status.ProcessId.ToString(CultureInfo.InvariantCulture);
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
