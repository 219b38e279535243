using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Stops all running VMs because the host goes down, each as its settings say.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="operations">Stops them.</param>
/// <param name="saved">Saves them.</param>
/// <param name="jobs">Tells when a saving has ended.</param>
public sealed class AutomaticStop(VirtualMachineParts parts, VirtualMachineOperations operations, SavedStates saved, JobRunner jobs)
{
    /// <summary>How long a guest may take to shut down before it is turned off.</summary>
    public static readonly TimeSpan ShutDownLimit = TimeSpan.FromSeconds(120);

    /// <summary>Stops them and waits until none runs, or until it is known which could not be stopped.</summary>
    /// <param name="cancellationToken">Gives up waiting; what has begun goes on.</param>
    /// <returns>One line per VM that ran.</returns>
    public async Task<IReadOnlyList<StoppedVirtualMachine>> StopAllAsync(CancellationToken cancellationToken)
    {
        var stopped = new List<StoppedVirtualMachine>();
        foreach (var vms in parts.Vms.List().Chunk(4))
        {
            var done = await Task.WhenAll(vms.Select(vm => StopAsync(vm, cancellationToken))).ConfigureAwait(false);
            stopped.AddRange(done.OfType<StoppedVirtualMachine>());
        }
        return stopped;
    }

    private async Task<StoppedVirtualMachine?> StopAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if ((await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            return null;
        }
        var action = vm.Settings.AutomaticStopAction;
        var problem = await TryAsync(vm, action, cancellationToken).ConfigureAwait(false);
        if (problem is not null)
        {
            // The host goes down in any case: a VM whose disks are closed in order is better off than one that is cut off.
            action = StopAction.TurnOff;
            problem = await TryAsync(vm, action, cancellationToken).ConfigureAwait(false) ?? problem;
        }
        // It ran until the host went down: that is what the next start goes by.
        parts.Vms.Note(vm.Id, now => now with { Powered = true });
        return new StoppedVirtualMachine(vm.Name, action, problem);
    }

    /// <summary>Why it could not be done, or null: one VM that cannot be stopped keeps no other from being stopped.</summary>
    private async Task<Problem?> TryAsync(VirtualMachineRecord vm, StopAction action, CancellationToken cancellationToken)
    {
        try
        {
            await ActAsync(vm, action, cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (GodwitException e)
        {
            return e.Problem;
        }
    }

    private async Task ActAsync(VirtualMachineRecord vm, StopAction action, CancellationToken cancellationToken)
    {
        if (action != StopAction.Save)
        {
            var request = new StopRequest(action == StopAction.TurnOff, (int)ShutDownLimit.TotalSeconds);
            await operations.StopAsync(vm.Name, request, cancellationToken).ConfigureAwait(false);
            return;
        }
        var job = await saved.SubmitAsync(vm.Name, cancellationToken).ConfigureAwait(false);
        await foreach (var seen in jobs.WatchAsync(job.Id, cancellationToken).ConfigureAwait(false))
        {
            job = seen;
        }
        if (job.State != JobState.Succeeded)
        {
            throw new GodwitException(job.Problem ?? new Problem(ErrorCode.Internal, $"VM '{vm.Name}' could not be saved."));
        }
    }
}
