using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Saves VMs, lets them go on, and forgets what was saved.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Runs the savings.</param>
public sealed class SavedStates(VirtualMachineParts parts, JobRunner jobs)
{
    /// <summary>Checks a saving and accepts it as a job.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up before the job is accepted.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it neither runs nor is paused,
    /// <see cref="ErrorCode.Busy"/> when a job works on it, <see cref="ErrorCode.NoSpace"/>.</exception>
    public async Task<Job> SubmitAsync(string name, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        CheckSaveStep.Check(parts, vm, await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false));
        return jobs.Submit(SaveKind.KindName, vm.Id, vm.Name, JsonSerializer.Serialize(new SaveOrder(vm.Id), StoreJson.Default.SaveOrder));
    }

    /// <summary>Forgets the saved state of a VM, which is then off: as if its plug had been pulled when it was saved.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it is not saved.</exception>
    public async Task DiscardAsync(string name, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        if (!vm.IsSaved)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' has no saved state.");
        }
        Clear(MarkUsed(vm, powered: false));
    }

    /// <summary>Starts QEMU from the saved state. Call inside the VM's gate, with its disks served.</summary>
    internal async Task RestoreAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var saved = vm.Saved!;
        if (!parts.Folders.FileExists(saved.File))
        {
            throw new GodwitException(
                ErrorCode.NotFound, $"The saved state '{saved.File}' of VM '{vm.Name}' is not there.",
                "Bring it back, or let the VM boot anew: 'godwit vm discard-saved-state'.");
        }
        if (saved.Memory != vm.Settings.Memory || saved.Cpus != vm.Settings.Cpus)
        {
            throw new GodwitException(
                ErrorCode.WrongState,
                $"VM '{vm.Name}' was saved with {saved.Memory >> 20} MiB and {saved.Cpus} processors; its settings say {vm.Settings.Memory >> 20} MiB and {vm.Settings.Cpus}.",
                $"Put the settings in '{vm.ConfigurationFile}' right, or let the VM boot anew: 'godwit vm discard-saved-state'.");
        }
        await parts.Runtime.RestoreAsync(vm, saved, cancellationToken).ConfigureAwait(false);
        try
        {
            // Before the vCPUs run: loaded a second time, the memory would no longer fit the disks.
            vm = MarkUsed(vm, powered: true);
        }
        catch
        {
            await parts.Runtime.TurnOffAsync(vm, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        await FinishAsync(vm, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Puts right what a daemon that died in between has left. Call inside the VM's gate, when no job works on it.</summary>
    /// <returns>What was put right, or null.</returns>
    internal async Task<string?> SettleAsync(VirtualMachineRecord vm, RuntimeStatus status, CancellationToken cancellationToken)
    {
        if (vm.IsSaved && status.State == VirtualMachineState.Running)
        {
            Clear(MarkUsed(vm, powered: true));
            return "runs although it is saved: its disks have changed since; the saved state is removed";
        }
        if (vm.IsSaved && status.State == VirtualMachineState.Paused)
        {
            // Its vCPUs have not run since the state was recorded, or the state would be marked as used.
            await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
            return "was being restored or just saved; its QEMU is ended, the saved state is kept";
        }
        if (vm.Saved is { Used: true })
        {
            await FinishAsync(vm, cancellationToken).ConfigureAwait(false);
            return status.IsOff ? "had a used saved state; it is removed" : "was just restored; it goes on";
        }
        return null;
    }

    private async Task FinishAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (vm.Saved is { WasRunning: true } && !status.IsOff)
        {
            // Whatever it was seen doing: a monitor that was mute while it loaded looks like a VM that waits for a disk.
            await parts.Runtime.ResumeAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        Clear(vm);
    }

    private VirtualMachineRecord MarkUsed(VirtualMachineRecord vm, bool powered) =>
        parts.Vms.Change(vm.Id, now => now with { Saved = now.Saved! with { Used = true }, Powered = powered })!;

    private void Clear(VirtualMachineRecord vm)
    {
        parts.Folders.DeleteFile(vm.Saved!.File);
        parts.Vms.Note(vm.Id, now => now with { Saved = null });
    }
}
