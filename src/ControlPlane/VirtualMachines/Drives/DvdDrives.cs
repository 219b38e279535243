using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Drives;

/// <summary>What is in the DVD drives of VMs.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="jobs">Tells which VMs are being worked on.</param>
public sealed class DvdDrives(VirtualMachineParts parts, JobRunner jobs)
{
    private readonly DiscImages _images = new(parts);

    /// <summary>Puts a disc into a drive, or takes it out; a running guest sees it at once.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="drive">The drive.</param>
    /// <param name="medium">What is to be in it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/> for VM, drive or file; <see cref="ErrorCode.AccessDenied"/> for a file out of
    /// bounds; <see cref="ErrorCode.WrongState"/> when the VM is saved; <see cref="ErrorCode.Busy"/> when a job works on it. Nothing has
    /// changed.</exception>
    public async Task SetAsync(string name, string drive, DvdMedium medium, CancellationToken cancellationToken)
    {
        var id = parts.Vms.Get(name).Id;
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Get(name);
        jobs.RefuseWhenBusy(vm);
        if (vm.IsSaved)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' is saved: its guest would find another disc than it left.", "Start it first, or discard the saved state.");
        }
        var before = (vm.DvdDrives ?? []).FirstOrDefault(one => one.Name == drive) ?? throw new GodwitException(
            ErrorCode.NotFound, $"VM '{vm.Name}' has no DVD drive '{drive}'.", "See 'godwit vm show'.");
        var path = medium.Path is null ? null : await _images.CheckAsync(medium.Path, cancellationToken).ConfigureAwait(false);
        var after = Record(id, drive, path);
        if (after is null || (await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            return;
        }
        try
        {
            await parts.Runtime.SetDvdMediaAsync(after, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // The record is what the guest is shown in the end: that it could not be shown the new disc must not wait for the next start.
            Record(id, drive, before.Path);
            throw;
        }
    }

    private VirtualMachineRecord? Record(Guid id, string drive, string? path) => parts.Vms.Change(id, now => now with
    {
        DvdDrives = [.. (now.DvdDrives ?? []).Select(one => one.Name == drive ? one with { Path = path } : one)],
    });
}
