using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Migrations;

/// <summary>Moves disks of VMs to other folders of this host, running or not.</summary>
/// <param name="parts">What a move works with.</param>
/// <param name="jobs">Runs the moves.</param>
public sealed class StorageMoves(VirtualMachineParts parts, JobRunner jobs)
{
    private readonly StorageMovePlanner _planner = new(parts);

    /// <summary>Checks the move and answers what it would do.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="GodwitException">The move cannot work; the problem says why.</exception>
    public async Task<StorageMovePlan> PlanAsync(string name, StorageMoveRequest request, CancellationToken cancellationToken)
    {
        var vm = parts.Vms.Get(name);
        // A second plan would rest on paths that the first job is about to change.
        jobs.RefuseWhenBusy(vm);
        return await _planner.PlanAsync(vm, request, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Checks the move and accepts it as a job.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="cancellationToken">Gives up before the job is accepted.</param>
    /// <exception cref="GodwitException">The move cannot work; the problem says why. Nothing was changed.</exception>
    public async Task<Job> SubmitAsync(string name, StorageMoveRequest request, CancellationToken cancellationToken)
    {
        var vm = parts.Vms.Get(name);
        using var passage = await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        var plan = await PlanAsync(name, request, cancellationToken).ConfigureAwait(false);
        var order = JsonSerializer.Serialize(new StorageMoveOrder(vm.Id, request, plan), StoreJson.Default.StorageMoveOrder);
        return jobs.Submit(StorageMoveKind.KindName, vm.Id, vm.Name, order);
    }
}
