using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The points in time since which the changes of disks of running VMs are marked.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class DiskTracking(VirtualMachineParts parts)
{
    /// <summary>The points of one disk, oldest first.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/> for VM or disk; <see cref="ErrorCode.WrongState"/> when no worker
    /// serves the VM.</exception>
    public async Task<IReadOnlyList<DiskPoint>> ListAsync(string name, string disk, CancellationToken cancellationToken) =>
        (await RunningDisk.AskAsync(parts, name, disk, new GetStatus(), cancellationToken).ConfigureAwait(false)).Points ?? [];

    /// <summary>Starts a point: what changes from here on is marked, over restarts of the worker and moves of the disk too.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="point">What the point is called.</param>
    /// <param name="cancellationToken">Gives up waiting; the point may be there all the same.</param>
    /// <returns>The point.</returns>
    /// <exception cref="GodwitException">As for the list; <see cref="ErrorCode.AlreadyExists"/>; <see cref="ErrorCode.InvalidRequest"/> for a
    /// name that is none; <see cref="ErrorCode.WrongState"/> for a read-only disk, or one that has as many points as there can be.</exception>
    public async Task<DiskPoint> AddAsync(string name, string disk, DiskPointSpec point, CancellationToken cancellationToken)
    {
        var now = await RunningDisk.AskAsync(parts, name, disk, new AddPoint(disk, Guid.NewGuid(), point.Name), cancellationToken).ConfigureAwait(false);
        return now.Points?.FirstOrDefault(each => each.Name == point.Name)
            ?? throw new GodwitException(ErrorCode.Unavailable, $"Point '{point.Name}' has been removed at once.");
    }

    /// <summary>Forgets a point.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="point">What the point is called.</param>
    /// <param name="cancellationToken">Gives up waiting; the point may be gone all the same.</param>
    /// <exception cref="GodwitException">As for the list; <see cref="ErrorCode.NotFound"/> when there is no such point.</exception>
    public async Task RemoveAsync(string name, string disk, string point, CancellationToken cancellationToken)
    {
        var points = await ListAsync(name, disk, cancellationToken).ConfigureAwait(false);
        if (points.All(each => each.Name != point))
            throw new GodwitException(ErrorCode.NotFound, $"Disk '{disk}' of VM '{name}' has no point '{point}'.");
        await RunningDisk.AskAsync(parts, name, disk, new RemovePoint(disk, point), cancellationToken).ConfigureAwait(false);
    }
}
