using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Stops and starts the processors of running VMs.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Tells which VMs are being saved.</param>
public sealed class VirtualMachineControl(VirtualMachineParts parts, JobRunner jobs)
{
    /// <summary>Stops the processors; memory and devices stay.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it does not run, <see cref="ErrorCode.Busy"/> while it is
    /// being saved.</exception>
    public Task PauseAsync(string name, CancellationToken cancellationToken) => ActAsync(
        name, "paused", [VirtualMachineState.Running, VirtualMachineState.PausedCritical], parts.Runtime.PauseAsync, cancellationToken);

    /// <summary>Lets the processors run again.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is not paused, <see cref="ErrorCode.Busy"/> while it is
    /// being saved.</exception>
    public Task ResumeAsync(string name, CancellationToken cancellationToken) => ActAsync(
        name, "resumed", [VirtualMachineState.Paused, VirtualMachineState.PausedCritical], parts.Runtime.ResumeAsync, cancellationToken);

    /// <summary>Presses the reset button: the guest boots again, as after a power cut.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it does not run, <see cref="ErrorCode.Busy"/> while it is
    /// being saved.</exception>
    public Task ResetAsync(string name, CancellationToken cancellationToken) => ActAsync(
        name, "reset", [VirtualMachineState.Running, VirtualMachineState.Paused], parts.Runtime.ResetAsync, cancellationToken);

    private async Task ActAsync(
        string name, string done, VirtualMachineState[] from, Func<VirtualMachineRecord, CancellationToken, Task> act,
        CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        if (jobs.IsActive(id, SaveKind.KindName) || jobs.IsActive(id, CheckpointKind.KindName))
        {
            throw new GodwitException(ErrorCode.Busy, $"The memory of VM '{vm.Name}' is being written.", "Wait for the job or cancel it.");
        }
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (!from.Contains(status.State))
        {
            var state = status.IsOff && vm.IsSaved ? VirtualMachineState.Saved : status.State;
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is {state} and cannot be {done}.");
        }
        await act(vm, cancellationToken).ConfigureAwait(false);
    }
}
