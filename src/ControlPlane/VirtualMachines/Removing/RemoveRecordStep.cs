using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Removing;

/// <summary>The commit point: from here on there is no such VM.</summary>
internal sealed class RemoveRecordStep(VirtualMachineParts parts, RemoveOrder order) : ICommitStep
{
    public string Name => "Remove its record";

    public string Phase => "Finish";

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = order.Vm;
        using var passage = await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        // Somebody may have started it since.
        await EndProcessesStep.RequireOffAsync(parts, vm, cancellationToken).ConfigureAwait(false);
        parts.Vms.Remove(vm.Id);
        if (await parts.Ownership.ReadAsync(vm.Id, cancellationToken).ConfigureAwait(false) is { } owner)
        {
            await parts.Ownership.TryDeleteAsync(owner, cancellationToken).ConfigureAwait(false);
        }
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken) =>
        Task.FromResult(parts.Vms.Find(order.Vm.Id) is null);
}
