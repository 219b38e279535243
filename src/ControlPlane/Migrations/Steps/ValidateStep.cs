using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations.Steps;

/// <summary>Checks once more what was checked when the job was accepted: it may have waited in the queue since.</summary>
internal sealed class ValidateStep(StorageMove move) : MoveStep(move, StorageMovePhases.Validate, "Check paths, space and disks")
{
    public override async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var plan = await PlanAsync(context, cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < plan.Items.Count; i++)
        {
            if (plan.Items[i].Source != Move.Items[i].Source || plan.Items[i].Target != Move.Items[i].Target)
            {
                throw new GodwitException(
                    ErrorCode.WrongState, $"{plan.Items[i].Disk} is not where it was when the job was accepted.", "Start the move again.");
            }
        }
    }

    private async Task<StorageMovePlan> PlanAsync(JobContext context, CancellationToken cancellationToken)
    {
        var since = context.Time.GetTimestamp();
        while (true)
        {
            try
            {
                return await new StorageMovePlanner(Move.Parts).PlanAsync(Move.Vm, Move.Request, cancellationToken).ConfigureAwait(false);
            }
            catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable
                && context.Time.GetElapsedTime(since) < StorageMove.Patience)
            {
                await Task.Delay(StorageMove.PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
