using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines.Creating;
using Godwit.ControlPlane.VirtualMachines.Removing;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Creates and removes VMs, as jobs: whatever is killed, there is the VM with its disks, or nothing of it.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Runs the jobs.</param>
public sealed class VirtualMachineLife(VirtualMachineParts parts, JobRunner jobs)
{
    private readonly CreationPlanner _planner = new(parts);
    private readonly VirtualMachineGates _one = new();

    /// <summary>Defines a VM and creates its new disks; returns when that is done.</summary>
    /// <param name="spec">What is asked for.</param>
    /// <param name="cancellationToken">Gives up; nothing stays.</param>
    /// <exception cref="GodwitException">It cannot be created; nothing stays.</exception>
    public async Task CreateAsync(VirtualMachineSpec spec, CancellationToken cancellationToken)
    {
        // One at a time: two requests for the same name or file must not both pass the checks.
        using var passage = await _one.EnterAsync(Guid.Empty, cancellationToken).ConfigureAwait(false);
        var order = await _planner.PlanAsync(spec, cancellationToken).ConfigureAwait(false);
        var text = JsonSerializer.Serialize(order, StoreJson.Default.CreateOrder);
        await EndAsync(jobs.Submit(CreateKind.KindName, order.Vm.Id, order.Vm.Name, text), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes a VM; returns when that is done. Its disk files stay unless asked otherwise.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="deleteDisks">Delete the disk files too.</param>
    /// <param name="force">Turn it off first when it is not off.</param>
    /// <param name="cancellationToken">Gives up, unless it is too late to.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is not off,
    /// <see cref="ErrorCode.Busy"/> when a job works on it.</exception>
    public async Task RemoveAsync(string name, bool deleteDisks, bool force, CancellationToken cancellationToken)
    {
        Job job;
        var id = parts.Vms.Get(name).Id;
        using (await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false))
        {
            var vm = parts.Vms.Get(name);
            jobs.RefuseWhenBusy(vm);
            if (!force)
            {
                await EndProcessesStep.RequireOffAsync(parts, vm, cancellationToken).ConfigureAwait(false);
            }
            if (vm.Checkpoints is { Count: > 0 } && !deleteDisks)
            {
                throw new GodwitException(
                    ErrorCode.WrongState, $"VM '{vm.Name}' has checkpoints: its disks are in several files each.",
                    $"Remove them first, which merges the files ('godwit checkpoint list \"{vm.Name}\"'), or delete the disks too.");
            }
            var text = JsonSerializer.Serialize(new RemoveOrder(vm, deleteDisks, force), StoreJson.Default.RemoveOrder);
            job = jobs.Submit(RemoveKind.KindName, id, vm.Name, text);
        }
        await EndAsync(job, cancellationToken).ConfigureAwait(false);
    }

    private async Task EndAsync(Job job, CancellationToken cancellationToken)
    {
        using var cancel = cancellationToken.Register(() => TryCancel(job.Id));
        await foreach (var seen in jobs.WatchAsync(job.Id, CancellationToken.None).ConfigureAwait(false))
        {
            job = seen;
        }
        cancellationToken.ThrowIfCancellationRequested();
        if (job.State != JobState.Succeeded)
        {
            throw new GodwitException(job.Problem ?? new Problem(ErrorCode.Internal, $"{job.Kind} of '{job.Target}' failed."));
        }
    }

    private void TryCancel(Guid job)
    {
        try
        {
            jobs.Cancel(job);
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.WrongState)
        {
            // Too late: it ends by itself.
        }
    }
}
