using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Keeps memory and devices: of a VM that runs by writing them, which stops its vCPUs; of a saved one by a second name for its file.</summary>
internal sealed class KeepMemoryStep(Checkpointing taking) : IJobStep
{
    public string Name => "Keep the memory";

    public string Phase => Checkpointing.Transfer;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var (vm, file) = (taking.Vm, taking.MemoryFile);
        switch (Checkpointing.StateBefore(context))
        {
            case VirtualMachineState.Running:
                await taking.Memory.WriteAsync(context, vm, file, Phase, cancellationToken).ConfigureAwait(false);
                break;
            case VirtualMachineState.Saved when !taking.Parts.Folders.FileExists(file):
                taking.Parts.Folders.Create(Path.GetDirectoryName(file)!);
                taking.Parts.Folders.Link(vm.Saved!.File, file);
                break;
        }
    }

    public async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var (vm, file) = (taking.Vm, taking.MemoryFile);
        if (Checkpointing.StateBefore(context) == VirtualMachineState.Running)
        {
            await taking.Memory.TakeBackAsync(context, vm, file, cancellationToken).ConfigureAwait(false);
        }
        taking.Parts.Folders.DeleteFile(file);
        taking.Parts.Folders.RemoveEmpty(Path.GetDirectoryName(file)!, Path.GetDirectoryName(file)!);
    }
}
