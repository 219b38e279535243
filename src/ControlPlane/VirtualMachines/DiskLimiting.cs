using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Limits how much the disks of running VMs may be used.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class DiskLimiting(VirtualMachineParts parts)
{
    /// <summary>Sets the limits of one disk; they hold at once and are kept by the worker, also over its restarts and a move.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The limits that hold now.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/> for VM or disk; <see cref="ErrorCode.InvalidRequest"/> for a limit
    /// that is not above zero; <see cref="ErrorCode.WrongState"/> when no worker serves the VM.</exception>
    public async Task<DiskLimitSpec> SetAsync(string name, string disk, DiskLimitSpec limits, CancellationToken cancellationToken) =>
        (await RunningDisk.AskAsync(parts, name, disk, new LimitDisk(disk, limits), cancellationToken).ConfigureAwait(false)).Limits ?? new DiskLimitSpec();
}
