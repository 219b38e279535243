using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Checks that a checkpoint can be taken, and remembers what the VM was doing.</summary>
internal sealed class CheckCheckpointStep(Checkpointing taking) : IJobStep
{
    public string Name => "Check state and space";

    public string Phase => Checkpointing.Validate;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = taking.Vm;
        var status = await taking.Parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        Check(taking.Parts, vm, status);
        MemoryWriting.NoteRunning(context, status);
        Checkpointing.NoteState(context, vm, status);
        if (taking.Order.Type == CheckpointType.Production && !status.IsOff)
        {
            context.Note("the guest has no agent that could hold its file systems still; its memory is kept instead");
        }
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <exception cref="GodwitException">No checkpoint can be taken now.</exception>
    public static void Check(VirtualMachineParts parts, VirtualMachineRecord vm, RuntimeStatus status)
    {
        if (status.State is not (VirtualMachineState.Running or VirtualMachineState.Paused or VirtualMachineState.Off))
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' is {status.State}: no checkpoint can be taken.", "Only of a VM that runs, is paused, saved or off.");
        }
        if (!status.IsOff)
        {
            MemoryWriting.RequireSpace(parts, vm);
        }
    }
}
