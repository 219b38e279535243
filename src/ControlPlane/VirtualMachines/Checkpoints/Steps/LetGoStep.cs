using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Lets the guest go on, on the new images.</summary>
internal sealed class LetGoStep(Checkpointing taking) : IJobStep
{
    public string Name => "Let the VM go on";

    public string Phase => Checkpointing.Finish;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        if (Checkpointing.StateBefore(context) == VirtualMachineState.Running)
        {
            await taking.Memory.LetGoAsync(context, taking.Vm, cancellationToken).ConfigureAwait(false);
        }
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
