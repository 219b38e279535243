using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Removing;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Turns the VM off when that was asked for, and ends its worker.</summary>
internal sealed class EndForApplyStep(VirtualMachineParts parts, ApplyOrder order) : IJobStep
{
    public string Name => "End its processes";

    public string Phase => Checkpointing.Validate;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        using var passage = await parts.Gates.EnterAsync(order.Vm, cancellationToken).ConfigureAwait(false);
        var vm = Applying.VmOf(parts, order);
        if (order.Force)
        {
            await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        await EndProcessesStep.RequireOffAsync(parts, vm, cancellationToken).ConfigureAwait(false);
        await parts.Workers.StopAsync(vm.Id, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
