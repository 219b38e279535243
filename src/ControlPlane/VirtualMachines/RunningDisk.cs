using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Asks the worker of a running VM something about one of its disks.</summary>
internal static class RunningDisk
{
    /// <summary>Asks once.</summary>
    /// <returns>The disk as it is after the request.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/> for VM or disk; <see cref="ErrorCode.WrongState"/> when no worker
    /// serves the VM; or what the worker has to say.</exception>
    public static async Task<WorkerDiskStatus> AskAsync(
        VirtualMachineParts parts, string name, string disk, WorkerRequest request, CancellationToken cancellationToken)
    {
        var vm = parts.Vms.Get(name);
        if (!vm.Disks.Any(each => each.Name == disk))
            throw new GodwitException(ErrorCode.NotFound, $"VM '{vm.Name}' has no disk '{disk}'.", $"it has: {string.Join(", ", vm.Disks.Select(each => each.Name))}");
        if ((await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is off: nothing serves its disks.", "start it first");
        var reply = await parts.Workers.AskAsync(vm.Id, request, cancellationToken).ConfigureAwait(false);
        if (reply.Problem is { } problem)
            throw new GodwitException(problem);
        return reply.Status?.Disks.FirstOrDefault(each => each.Name == disk)
            ?? throw new GodwitException(ErrorCode.Unavailable, $"The worker of VM '{vm.Name}' does not know disk '{disk}'.");
    }
}
