using System.Text.Json;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Takes a checkpoint. The commit point is the cut through the disks.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class CheckpointKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "checkpoint";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <summary>Each writes the memory of a VM.</summary>
    public int Limit => 2;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var taking = new Checkpointing(parts, JsonSerializer.Deserialize(order, StoreJson.Default.CheckpointOrder)!);
        return
        [
            new CheckCheckpointStep(taking),
            new StartWorkerStep(taking.Worker, Checkpointing.Validate),
            new KeepMemoryStep(taking),
            new CutDisksStep(taking),
            new LetGoStep(taking),
            new RecordCheckpointStep(taking),
            new ReleaseWorkerStep(taking.Worker, Checkpointing.Finish),
        ];
    }
}
