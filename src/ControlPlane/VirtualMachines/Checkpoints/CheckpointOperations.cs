using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Takes, applies, renames and removes checkpoints of VMs.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Runs the jobs.</param>
/// <param name="time">The clock.</param>
public sealed class CheckpointOperations(VirtualMachineParts parts, JobRunner jobs, TimeProvider time)
{
    private readonly CheckpointPlanner _planner = new(parts, time);

    /// <summary>The checkpoints of a VM.</summary>
    /// <param name="name">The VM.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public CheckpointList List(string name)
    {
        var vm = parts.Vms.Get(name);
        var tree = new CheckpointTree(vm);
        var now = tree.VisibleParent(vm.CurrentCheckpoint);
        return new CheckpointList(
            [.. tree.Visible.Select(one => new Checkpoint(
                one.Id, one.Name, tree.VisibleParent(one.Parent), one.Created, one.Type,
                one.Saved is null ? VirtualMachineState.Off : VirtualMachineState.Saved, one.Id == now))],
            tree.Unmerged);
    }

    /// <summary>Checks a new checkpoint and accepts it as a job.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="spec">What is asked for.</param>
    /// <param name="cancellationToken">Gives up before the job is accepted.</param>
    /// <exception cref="GodwitException">It cannot be taken; the problem says why.</exception>
    public Task<Job> CreateAsync(string name, CheckpointSpec spec, CancellationToken cancellationToken) => SubmitAsync(
        name, CheckpointKind.KindName, StoreJson.Default.CheckpointOrder,
        async vm =>
        {
            var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
            Steps.CheckCheckpointStep.Check(parts, vm, status);
            return _planner.PlanNew(vm, spec, status.IsOff);
        },
        cancellationToken);

    /// <summary>Checks an applying and accepts it as a job: the VM becomes what it was at the checkpoint, saved or off.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="request">How.</param>
    /// <param name="cancellationToken">Gives up before the job is accepted.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is not off or saved and not forced; or it cannot be applied.</exception>
    public Task<Job> ApplyAsync(string name, string checkpoint, ApplyRequest request, CancellationToken cancellationToken) => SubmitAsync(
        name, ApplyKind.KindName, StoreJson.Default.ApplyOrder,
        async vm =>
        {
            if (!request.Force && !(await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
            {
                throw new GodwitException(
                    ErrorCode.WrongState, $"VM '{vm.Name}' is not off. What it is now will be lost.",
                    "Take a checkpoint of it, or shut it down, or turn it off with --force.");
            }
            return _planner.PlanApply(vm, new CheckpointTree(vm).Get(checkpoint), request.Force);
        },
        cancellationToken);

    /// <summary>Gives a checkpoint another name.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="newName">Its new name.</param>
    /// <param name="cancellationToken">Gives up; nothing has changed.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>; <see cref="ErrorCode.InvalidRequest"/> for a name that is none.</exception>
    public async Task RenameAsync(string name, string checkpoint, string newName, CancellationToken cancellationToken)
    {
        CheckpointPlanner.CheckName(newName);
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var which = new CheckpointTree(parts.Vms.Get(name)).Get(checkpoint).Id;
        parts.Vms.Change(id, now => now with { Checkpoints = [.. now.Checkpoints!.Select(one => one.Id == which ? one with { Name = newName } : one)] });
    }

    /// <summary>Removes a checkpoint, at once for users; a job merges its images with those that need them.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="checkpoint">Id or name of the checkpoint.</param>
    /// <param name="subtree">Remove all below it too.</param>
    /// <param name="cancellationToken">Gives up; nothing has changed.</param>
    /// <returns>The job that merges.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>; <see cref="ErrorCode.Busy"/> when a job works on the VM.</exception>
    public async Task<Job> RemoveAsync(string name, string checkpoint, bool subtree, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        var tree = new CheckpointTree(vm);
        var which = tree.Get(checkpoint).Id;
        HashSet<Guid> gone = subtree ? tree.Below(which) : [which];
        parts.Vms.Change(id, now => now with
        {
            Checkpoints = [.. now.Checkpoints!.Select(one => gone.Contains(one.Id) ? one with { Removed = true } : one)],
        });
        return Merge(vm);
    }

    /// <summary>Merges what removed checkpoints have left, after a merging that was cancelled or has failed.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up before the job is accepted.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Busy"/> when a job works on the VM.</exception>
    public async Task<Job> MergeAsync(string name, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        return Merge(vm);
    }

    private Job Merge(VirtualMachineRecord vm) =>
        jobs.Submit(MergeKind.KindName, vm.Id, vm.Name, JsonSerializer.Serialize(new MergeOrder(vm.Id), StoreJson.Default.MergeOrder));

    private async Task<Job> SubmitAsync<T>(
        string name, string kind, JsonTypeInfo<T> type, Func<VirtualMachineRecord, Task<T>> plan, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        return jobs.Submit(kind, vm.Id, vm.Name, JsonSerializer.Serialize(await plan(vm).ConfigureAwait(false), type));
    }
}
