using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Checks that the VM can be saved and that there is room, and remembers whether it ran.</summary>
internal sealed class CheckSaveStep(Saving saving) : IJobStep
{
    public string Name => "Check state and space";

    public string Phase => Saving.Validate;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = saving.Vm;
        var status = await saving.Parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        Check(saving.Parts, vm, status);
        MemoryWriting.NoteRunning(context, status);
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <exception cref="GodwitException">The VM cannot be saved now.</exception>
    public static void Check(VirtualMachineParts parts, VirtualMachineRecord vm, RuntimeStatus status)
    {
        if (status.State is not (VirtualMachineState.Running or VirtualMachineState.Paused))
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"VM '{vm.Name}' is {(vm.IsSaved ? "Saved" : status.State)} and cannot be saved.",
                "Only a VM that runs or is paused can.");
        }
        MemoryWriting.RequireSpace(parts, vm);
    }
}
