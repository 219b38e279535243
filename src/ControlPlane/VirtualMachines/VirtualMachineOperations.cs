using System.Collections.Concurrent;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Starts, stops and shows VMs.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Tells which VMs are being worked on.</param>
/// <param name="time">The clock.</param>
public sealed class VirtualMachineOperations(VirtualMachineParts parts, JobRunner jobs, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan DisksOpenLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShowLimit = TimeSpan.FromMilliseconds(500);

    private readonly SavedStates _saved = new(parts, jobs);

    private readonly ConcurrentDictionary<Guid, VirtualMachineState> _transitions = new();

    /// <summary>All VMs by name.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<VirtualMachine>> ListAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(parts.Vms.List().Select(vm => ShowAsync(vm, cancellationToken))).ConfigureAwait(false);

    /// <summary>One VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public Task<VirtualMachine> GetAsync(string name, CancellationToken cancellationToken) =>
        ShowAsync(parts.Vms.Get(name), cancellationToken);

    /// <summary>Starts a VM: its worker first, then QEMU. Returns when the vCPUs run.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up; the VM is off then.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is not off, or why it did not start.</exception>
    public async Task<VirtualMachine> StartAsync(string name, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using (await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false))
        {
            var vm = parts.Vms.Get(name);
            if (!(await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
            {
                throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is not off.");
            }
            _transitions[id] = VirtualMachineState.Starting;
            try
            {
                await ServeAsync(vm, cancellationToken).ConfigureAwait(false);
                await RunAsync(vm, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await ReleaseAsync(id).ConfigureAwait(false);
                throw;
            }
            finally
            {
                _transitions.TryRemove(id, out _);
            }
        }
        return await GetAsync(name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops a VM. During a storage move too: its worker then stays until the move ends.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="request">How.</param>
    /// <param name="cancellationToken">Gives up waiting; a shutdown asked for goes on.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is off,
    /// <see cref="ErrorCode.Unavailable"/> when the guest did not shut down in time.</exception>
    public async Task<VirtualMachine> StopAsync(string name, StopRequest request, CancellationToken cancellationToken)
    {
        var vm = parts.Vms.Get(name);
        if (request.TimeoutSeconds < 0)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, "The time limit must not be negative.");
        }
        if ((await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is {(vm.IsSaved ? "saved" : "off")}.");
        }
        if (request.TurnOff)
        {
            using var passage = await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false);
            await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await ShutDownAsync(vm, TimeSpan.FromSeconds(request.TimeoutSeconds), cancellationToken).ConfigureAwait(false);
        }
        using (await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false))
        {
            parts.Vms.Note(vm.Id, now => now with { Powered = false, StartDue = null, CriticalSince = null });
            await ReleaseAsync(vm.Id).ConfigureAwait(false);
        }
        return await GetAsync(name, cancellationToken).ConfigureAwait(false);
    }

    private async Task RunAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (vm.IsSaved)
        {
            await _saved.RestoreAsync(vm, cancellationToken).ConfigureAwait(false);
            return;
        }
        await parts.Runtime.StartAsync(vm, cancellationToken).ConfigureAwait(false);
        parts.Vms.Note(vm.Id, now => now with { Powered = true, StartDue = null });
    }

    /// <summary>Brings the worker up and waits until every disk is open.</summary>
    private async Task ServeAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        await parts.Workers.EnsureAsync(vm, cancellationToken).ConfigureAwait(false);
        var since = time.GetTimestamp();
        while (true)
        {
            var problem = await DiskProblemAsync(vm.Id, cancellationToken).ConfigureAwait(false);
            if (problem is null)
            {
                return;
            }
            // A worker that just started may not answer yet; a disk it cannot open will not get better.
            if (problem.Code != ErrorCode.Unavailable || time.GetElapsedTime(since) > DisksOpenLimit)
            {
                throw new GodwitException(problem);
            }
            await Task.Delay(PollInterval, time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<Problem?> DiskProblemAsync(Guid vm, CancellationToken cancellationToken)
    {
        try
        {
            var reply = await parts.Workers.AskAsync(vm, new GetStatus(), cancellationToken).ConfigureAwait(false);
            return reply.Problem ?? reply.Status?.Disks.FirstOrDefault(disk => disk.Problem is not null)?.Problem;
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable)
        {
            return e.Problem;
        }
    }

    private async Task ShutDownAsync(VirtualMachineRecord vm, TimeSpan limit, CancellationToken cancellationToken)
    {
        // No gate while waiting: turning the VM off must stay possible.
        _transitions[vm.Id] = VirtualMachineState.Stopping;
        try
        {
            await parts.Runtime.ShutDownAsync(vm, limit, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _transitions.TryRemove(vm.Id, out _);
        }
    }

    /// <summary>Stops the worker of a VM that is off, unless a job needs it. Call inside the VM's gate.</summary>
    private async Task ReleaseAsync(Guid id)
    {
        var off = parts.Vms.Find(id) is not { } vm
            || (await parts.Runtime.ObserveAsync(vm, CancellationToken.None).ConfigureAwait(false)).IsOff;
        if (off && jobs.ActiveJob(id) is null)
        {
            await parts.Workers.StopAsync(id, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task<VirtualMachine> ShowAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        var job = jobs.ActiveJob(vm.Id);
        var state = _transitions.TryGetValue(vm.Id, out var transition) ? transition : StateOf(vm, status);
        var worker = status.IsOff && job is null ? null : await WorkerAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        var turn = 0;
        var disks = vm.Disks.Select(disk => disk with
        {
            ControllerType = disk.ControllerType ?? ControllerType.Virtio,
            ControllerNumber = disk.ControllerNumber ?? 0,
            ControllerLocation = disk.ControllerLocation ?? turn++,
            Cache = disk.Cache ?? DiskCache.Writeback,
            Gaps = worker?.Disks.FirstOrDefault(served => served.Name == disk.Name)?.Gaps,
        });
        return new VirtualMachine(
            vm.Id, vm.Name, state, status.Reason, vm.Settings, [.. disks], vm.Path,
            status.Accelerator, status.AcceleratorReason, status.ProcessId, worker?.ProcessId, job,
            vm.IsSaved ? new SavedState(vm.Saved!.File, vm.Saved.Saved) : null, vm.Generation, vm.DvdDrives);
    }

    private VirtualMachineState StateOf(VirtualMachineRecord vm, RuntimeStatus status)
    {
        if (jobs.IsActive(vm.Id, SaveKind.KindName))
        {
            return VirtualMachineState.Saving;
        }
        return status.IsOff && vm.IsSaved ? VirtualMachineState.Saved : status.State;
    }

    private async Task<WorkerStatus?> WorkerAsync(Guid vm, CancellationToken cancellationToken)
    {
        // A worker that is being restarted must not make a list slow.
        using var limit = new CancellationTokenSource(ShowLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return (await parts.Workers.AskAsync(vm, new GetStatus(), both.Token).ConfigureAwait(false)).Status;
        }
        catch (Exception e) when (e is GodwitException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
