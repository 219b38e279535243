using Godwit.Api;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Planned restarts of disk workers: how an upgrade reaches VMs that run.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="operations">Shows the VM afterwards.</param>
public sealed class WorkerRestarts(VirtualMachineParts parts, VirtualMachineOperations operations)
{
    /// <summary>Restarts a VM's worker; its guest waits some milliseconds and sees no error. A storage move goes on afterwards; a switch that
    /// is under way is waited for.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting; a restart asked for goes on.</param>
    /// <returns>The VM with its new worker.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>; <see cref="ErrorCode.WrongState"/> when no worker serves the VM;
    /// <see cref="ErrorCode.Unavailable"/> when the installed program does not run or the new worker does not answer.</exception>
    public async Task<VirtualMachine> RestartAsync(string name, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using (await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false))
        {
            var vm = parts.Vms.Get(name);
            if ((await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
                throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is off: nothing serves its disks.", "its next start uses the installed program");
            await parts.Workers.RestartAsync(vm, cancellationToken).ConfigureAwait(false);
        }

        return await operations.GetAsync(name, cancellationToken).ConfigureAwait(false);
    }
}
