using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Changes the definition of VMs.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Tells which VMs are being worked on.</param>
public sealed class VirtualMachineChanges(VirtualMachineParts parts, JobRunner jobs)
{
    private readonly BootFiles _files = new(parts.Folders);

    /// <summary>Changes settings.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="change">What to change.</param>
    /// <param name="cancellationToken">Gives up; nothing has changed.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> for what needs a VM that is off, when it is not;
    /// <see cref="ErrorCode.Busy"/> when a job works on it; or a value cannot be.</exception>
    public async Task SetAsync(string name, SettingsChange change, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        if (change.NeedsOff)
        {
            await RequireOffAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        var settings = change.Apply(vm.Settings);
        SpecCheck.Check(settings, vm);
        settings = change.NeedsOff ? new NetworkCheck(parts.Vms).Resolve(_files.Resolve(settings), id) : settings;
        parts.Vms.Change(id, now => now with { Settings = settings });
    }

    /// <summary>Gives a VM another name. Its folder and its files keep theirs.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="newName">Its new name.</param>
    /// <param name="cancellationToken">Gives up; nothing has changed.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/>; <see cref="ErrorCode.InvalidRequest"/> for a name that is none.</exception>
    public async Task RenameAsync(string name, string newName, CancellationToken cancellationToken)
    {
        SpecCheck.CheckName(newName);
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        parts.Vms.Change(id, now => now with { Name = newName });
    }

    private async Task RequireOffAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        jobs.RefuseWhenBusy(vm);
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (!status.IsOff || vm.IsSaved)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' is {(status.IsOff ? VirtualMachineState.Saved : status.State)}; this needs one that is off.",
                "Shut it down first.");
        }
    }
}
