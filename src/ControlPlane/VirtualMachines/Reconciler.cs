using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>
/// Makes processes follow from what is observed: a VM that runs has a worker, a VM that is off has none (unless a job needs
/// it), the record of a disk's path follows the worker's. Looks at how things are, not at what changed, so a
/// missed event or a restart of the daemon costs nothing.
/// </summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Tells which VMs are being worked on.</param>
/// <param name="saved">Puts saved states right.</param>
/// <param name="time">The clock.</param>
/// <param name="tell">Hears one sentence about each thing that had to be put right.</param>
public sealed class Reconciler(
    VirtualMachineParts parts, JobRunner jobs, SavedStates saved, TimeProvider time, Action<VirtualMachineRecord, string> tell)
{
    private readonly HashSet<Guid> _looked = [];
    private readonly CriticalErrors _critical = new(parts, time);

    // Each as it was when there was nothing to do about it.
    private readonly Dictionary<Guid, VirtualMachineRecord> _quiet = [];
    private readonly Dictionary<Guid, VirtualMachineRecord> _followed = [];

    /// <summary>Looks at every VM once. VMs that a request is working on are left for the next round.</summary>
    /// <param name="cancellationToken">Stops between two VMs.</param>
    public Task ReconcileAsync(CancellationToken cancellationToken) => ReconcileAsync(everything: true, cancellationToken);

    /// <summary>Looks at the VMs once; one call at a time.</summary>
    /// <param name="everything">False: passes over VMs whose record and jobs are as they were when they were off and nothing was to be done about them, and
    /// does not ask workers for what they said then. What somebody else does to such a VM by hand is noticed the next time that everything is looked at.</param>
    /// <param name="cancellationToken">Stops between two VMs.</param>
    public async Task ReconcileAsync(bool everything, CancellationToken cancellationToken)
    {
        if (everything)
        {
            _quiet.Clear();
            _followed.Clear();
        }
        foreach (var listed in parts.Vms.List())
        {
            // The store answers the same object as long as nothing has changed.
            if (_quiet.TryGetValue(listed.Id, out var then) && ReferenceEquals(then, listed) && jobs.ActiveJob(listed.Id) is null)
            {
                continue;
            }
            _quiet.Remove(listed.Id);
            using var passage = parts.Gates.TryEnter(listed.Id);
            // What the list says may be over since somebody left the gate.
            if (passage is null || parts.Vms.Find(listed.Id) is not { } vm)
            {
                continue;
            }
            try
            {
                await ReconcileAsync(vm, cancellationToken).ConfigureAwait(false);
            }
            catch (GodwitException e)
            {
                tell(vm, e.Problem.Title);
            }
        }
    }

    /// <summary>Makes the host's store and the files beside the VMs say the same. Once, before jobs go on: a crash may have come between the
    /// two.</summary>
    public void FollowFiles()
    {
        foreach (var vm in parts.Vms.List())
        {
            try
            {
                if (vm.Path.Length == 0)
                {
                    parts.Vms.Place(vm.Id, Path.Combine(parts.MachineFolder, vm.Name));
                }
                if (parts.Vms.Follow(vm.Id) is { } followed)
                {
                    tell(vm, followed);
                }
            }
            catch (GodwitException e)
            {
                tell(vm, e.Problem.Title);
            }
        }
    }

    private async Task ReconcileAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (jobs.ActiveJob(vm.Id) is null && await saved.SettleAsync(vm, status, cancellationToken).ConfigureAwait(false) is { } settled)
        {
            tell(vm, settled);
            return;
        }
        if (status.IsOff == vm.Powered && jobs.ActiveJob(vm.Id) is null)
        {
            parts.Vms.Note(vm.Id, now => now with { Powered = !status.IsOff });
        }
        if (await _critical.ActAsync(vm, status, cancellationToken).ConfigureAwait(false) is { } acted)
        {
            tell(vm, acted);
            return;
        }
        var supervised = await parts.Workers.IsSupervisedAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        if (status.IsOff)
        {
            if (supervised && jobs.ActiveJob(vm.Id) is null)
            {
                tell(vm, "is off; its disk worker is stopped");
                await parts.Workers.StopAsync(vm.Id, cancellationToken).ConfigureAwait(false);
            }
            else if (!supervised && !vm.Powered && jobs.ActiveJob(vm.Id) is null)
            {
                _quiet[vm.Id] = vm;
            }
            return;
        }
        if (!supervised)
        {
            tell(vm, "runs and nobody looks after its disk worker; starting a supervisor");
            await parts.Workers.EnsureAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        if (jobs.ActiveJob(vm.Id) is not null)
        {
            // A job moves disks; what the worker says afterwards may be something else.
            _followed.Remove(vm.Id);
        }
        else if (!_followed.TryGetValue(vm.Id, out var then) || !ReferenceEquals(then, vm))
        {
            if (status.State is VirtualMachineState.Running or VirtualMachineState.Paused && _looked.Add(vm.Id) && vm.DvdDrives is not null)
            {
                // An earlier godwitd may have died between the record and the drive.
                await parts.Runtime.SetDvdMediaAsync(vm, cancellationToken).ConfigureAwait(false);
            }
            await FollowPathsAsync(vm, cancellationToken).ConfigureAwait(false);
            _followed[vm.Id] = vm;
        }
    }

    /// <summary>The worker's word is the truth about where a disk is: it is what the guest writes to.</summary>
    private async Task FollowPathsAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var reply = await parts.Workers.AskAsync(vm.Id, new GetStatus(), cancellationToken).ConfigureAwait(false);
        var paths = (reply.Status?.Disks ?? []).Where(served => vm.Disks.Any(disk => disk.Name == served.Name && disk.Path != served.Path))
            .ToDictionary(served => served.Name);
        if (paths.Count > 0)
        {
            tell(vm, "is served from other paths than recorded; the record follows: " + string.Join(", ", paths.Values.Select(served => served.Path)));
            parts.Vms.SetDisks(
                vm.Id, disk => paths.TryGetValue(disk.Name, out var served) ? disk with { Path = served.Path, Format = served.Problem is null ? served.Format : disk.Format } : disk);
        }
    }
}
