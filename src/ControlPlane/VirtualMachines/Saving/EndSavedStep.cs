using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Ends QEMU, which has given its guest away, and then the worker.</summary>
internal sealed class EndSavedStep(Saving saving) : IJobStep
{
    public string Name => "End the processes";

    public string Phase => Saving.Finish;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var (vm, parts) = (saving.Vm, saving.Parts);
        using var passage = await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
        await parts.Workers.StopAsync(vm.Id, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
