using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>One checkpoint while it is being taken: what its steps share.</summary>
internal sealed class Checkpointing(VirtualMachineParts parts, CheckpointOrder order)
{
    public const string Validate = "Validate";
    public const string Transfer = "Transfer";
    public const string Finish = "Finish";

    private const string StateFact = "state";

    public VirtualMachineParts Parts => parts;

    public CheckpointOrder Order => order;

    public JobWorker Worker { get; } = new(parts, order.Vm);

    public MemoryWriting Memory { get; } = new(parts);

    public VirtualMachineRecord Vm => Worker.Vm;

    /// <summary>Where its memory goes; only this job can have made it, so deleting it is always safe.</summary>
    public string MemoryFile => CheckpointFiles.MemoryOf(Vm, order.Id);

    /// <summary>The cut through all disks.</summary>
    public AddLayers Cut(Guid job) => new(job, order.Layers);

    /// <summary>Journals what the VM was doing before anything was done to it.</summary>
    public static void NoteState(JobContext context, VirtualMachineRecord vm, RuntimeStatus status) =>
        context.SetFact(StateFact, (status.IsOff && vm.IsSaved ? VirtualMachineState.Saved : status.IsOff ? VirtualMachineState.Off : VirtualMachineState.Running).ToString());

    /// <summary>What the VM was doing: <see cref="VirtualMachineState.Off"/>, <see cref="VirtualMachineState.Saved"/>, or
    /// <see cref="VirtualMachineState.Running"/> for one that has a QEMU.</summary>
    public static VirtualMachineState StateBefore(JobContext context) => Enum.Parse<VirtualMachineState>(context.GetFact(StateFact)!);

    /// <summary>Whether the worker has made the cut.</summary>
    public bool IsCut(WorkerStatus status, Guid job) => order.Layers.All(layer => JobWorker.Served(status, layer.Disk).Layer?.JobId == job);
}
