using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Removing;

/// <summary>Turns the VM off when that was asked for, and ends its worker.</summary>
internal sealed class EndProcessesStep(VirtualMachineParts parts, Guid id, bool force) : IJobStep
{
    public string Name => "End its processes";

    public string Phase => "Prepare";

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        using var passage = await parts.Gates.EnterAsync(id, cancellationToken).ConfigureAwait(false);
        var vm = parts.Vms.Find(id) ?? throw new GodwitException(ErrorCode.NotFound, "The VM has been removed.");
        if (force)
        {
            await parts.Runtime.TurnOffAsync(vm, cancellationToken).ConfigureAwait(false);
        }
        await RequireOffAsync(parts, vm, cancellationToken).ConfigureAwait(false);
        await parts.Workers.StopAsync(vm.Id, cancellationToken).ConfigureAwait(false);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>.</exception>
    public static async Task RequireOffAsync(VirtualMachineParts parts, VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (!(await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' is not off.", "Stop it first.");
        }
    }
}
