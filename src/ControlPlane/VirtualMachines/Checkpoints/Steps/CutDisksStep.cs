using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Puts a new image on top of every disk, at one instant: the commit point, in the worker's one file.</summary>
internal sealed class CutDisksStep(Checkpointing taking) : ICommitStep
{
    public string Name => "Cut the disks";

    public string Phase => Checkpointing.Finish;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        using var passage = await taking.Parts.Gates.EnterAsync(taking.Order.Vm, cancellationToken).ConfigureAwait(false);
        if (await IsCommittedAsync(context, cancellationToken).ConfigureAwait(false))
        {
            return;
        }
        await RequireStillAsync(context, cancellationToken).ConfigureAwait(false);
        // A lost reply is answered by asking again: whether the cut was made must be known before anybody goes on.
        await taking.Worker.AskAsync(context, taking.Cut(context.JobId), Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken) =>
        taking.IsCut(await taking.Worker.AskAsync(context, new GetStatus(), Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false), context.JobId);

    /// <summary>What is kept must be of one moment: nobody may have let the guest run since its memory was written, or started it.</summary>
    private async Task RequireStillAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = taking.Vm;
        var before = Checkpointing.StateBefore(context);
        var status = await taking.Parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        var kept = before switch
        {
            // Turned off since is fine: it has written nothing.
            VirtualMachineState.Running => status.IsOff || status.State == VirtualMachineState.Paused,
            VirtualMachineState.Saved => status.IsOff && vm.IsSaved,
            _ => status.IsOff && !vm.IsSaved,
        };
        if (!kept)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' became {status.State} while the checkpoint was being taken.", "Take it again.");
        }
    }
}
