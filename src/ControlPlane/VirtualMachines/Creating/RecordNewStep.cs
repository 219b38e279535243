using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Ownership;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>The commit point: from here on there is the VM.</summary>
internal sealed class RecordNewStep(VirtualMachineParts parts, VirtualMachineRecord vm) : ICommitStep
{
    public string Name => "Record the VM";

    public string Phase => "Finish";

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        // Before the record: a VM without an owner could not be moved.
        await parts.Ownership.TryCreateAsync(Owner, cancellationToken).ConfigureAwait(false);
        if (parts.Vms.Find(vm.Id) is null)
        {
            parts.Vms.Add(vm);
        }
    }

    public async Task UndoAsync(JobContext context, CancellationToken cancellationToken) =>
        await parts.Ownership.TryDeleteAsync(Owner, cancellationToken).ConfigureAwait(false);

    public Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken) =>
        Task.FromResult(parts.Vms.Find(vm.Id) is not null);

    private OwnershipRecord Owner => new(vm.Id, parts.HostId, 1, OwnershipPhase.Settled);
}
