using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>VMs that wait for a disk: since when, and what becomes of them when it takes too long. They go on by themselves before.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="time">The clock.</param>
internal sealed class CriticalErrors(VirtualMachineParts parts, TimeProvider time)
{
    /// <summary>Keeps the time and acts when it is over. Call inside the VM's gate.</summary>
    /// <returns>What was done, or null.</returns>
    public async Task<string?> ActAsync(VirtualMachineRecord vm, RuntimeStatus status, CancellationToken cancellationToken)
    {
        if (status.State != VirtualMachineState.PausedCritical)
        {
            if (vm.CriticalSince is not null)
            {
                parts.Vms.Note(vm.Id, now => now with { CriticalSince = null });
            }
            return null;
        }
        var now = time.GetUtcNow();
        if (vm.CriticalSince is not { } since)
        {
            // Stored: a daemon that is started again does not begin to count anew.
            parts.Vms.Note(vm.Id, record => record with { CriticalSince = now });
            return $"waits for a disk: {status.Reason}";
        }
        var limit = TimeSpan.FromMinutes(vm.Settings.AutomaticCriticalErrorActionTimeout);
        if (vm.Settings.AutomaticCriticalErrorAction != CriticalErrorAction.Pause || now - since < limit)
        {
            return null;
        }
        await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
        parts.Vms.Note(vm.Id, record => record with { CriticalSince = null, Powered = false });
        return $"has waited {limit.TotalMinutes:0} minutes for a disk and is turned off: {status.Reason}";
    }
}
