using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>
/// Makes the targets serve the guest. Each disk has its own commit point: the worker's rename of <c>worker.json</c>. After
/// the first disk has switched the job only goes forward; a disk that then cannot switch stays on its source, and the job
/// ends as failed and says so.
/// </summary>
internal sealed class SwitchStep(StorageMove move) : MoveStep(move, StorageMovePhases.Switchover, "Switch over"), ICommitStep
{
    private const int Refusals = 40;

    /// <summary>Journalled name of the reason why a disk stayed on its source.</summary>
    public static string StayedFact(StorageMoveItem item) => "stayed:" + item.Disk;

    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        // Nobody is switched before everybody can be.
        foreach (var item in Remaining(context))
        {
            await ReadyAsync(item, context, cancellationToken).ConfigureAwait(false);
        }
        foreach (var item in Remaining(context))
        {
            await SwitchAsync(item, context, cancellationToken).ConfigureAwait(false);
        }
        await RecordAsync(context, cancellationToken).ConfigureAwait(false);
    }

    public async Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken)
    {
        var status = await Move.AskAsync(context, new GetStatus(), cancellationToken).ConfigureAwait(false);
        return Move.Items.Any(item => StorageMove.IsSwitched(status, item, context.JobId));
    }

    private IEnumerable<StorageMoveItem> Remaining(JobContext context) =>
        Move.Items.Where(item => context.GetFact(StayedFact(item)) is null);

    private async Task ReadyAsync(StorageMoveItem item, JobContext context, CancellationToken cancellationToken)
    {
        try
        {
            await VerifyDiskStep.WaitAsync(Move, item, context, StorageMove.Patience, cancellationToken).ConfigureAwait(false);
        }
        catch (GodwitException e)
        {
            // Repeated after a crash with one disk switched already: the others can only stay behind, not take it back.
            if (!await IsCommittedAsync(context, cancellationToken).ConfigureAwait(false))
            {
                throw;
            }
            Stay(item, context, e.Problem);
        }
    }

    private async Task SwitchAsync(StorageMoveItem item, JobContext context, CancellationToken cancellationToken)
    {
        for (var refusal = 0; ; refusal++)
        {
            try
            {
                // A lost reply is answered by asking again: a switched disk says so, whoever asks.
                await Move.AskAsync(
                    context, new SwitchMirror(item.Disk, context.JobId), Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (GodwitException e)
            {
                var status = await Move.AskAsync(context, new GetStatus(), Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
                if (StorageMove.IsSwitched(status, item, context.JobId))
                {
                    return;
                }
                if (e.Problem.Code == ErrorCode.WrongState && refusal < Refusals
                    && StorageMove.Mirror(status, item, context.JobId)?.State is not (null or MirrorState.Failed))
                {
                    await Task.Delay(StorageMove.PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
                    continue;
                }
                if (!Move.Items.Any(other => StorageMove.IsSwitched(status, other, context.JobId)))
                {
                    throw;
                }
                Stay(item, context, e.Problem);
                return;
            }
        }
    }

    private static void Stay(StorageMoveItem item, JobContext context, Problem problem)
    {
        context.SetFact(StayedFact(item), problem.Title);
        context.Note($"{item.Disk} could not switch and stays on '{item.Source}': {problem.Title}");
    }

    private async Task RecordAsync(JobContext context, CancellationToken cancellationToken)
    {
        var status = await Move.AskAsync(context, new GetStatus(), Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        var moved = Move.Items.Where(item => StorageMove.IsSwitched(status, item, context.JobId));
        Move.Parts.Vms.SetDiskPaths(Move.Vm.Id, moved.ToDictionary(item => item.Disk, item => item.Target));
        await ReserveStep.ConfirmAsync(Move, context, cancellationToken).ConfigureAwait(false);
    }
}
