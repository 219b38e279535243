using System.Text.Json;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Merges the images of removed checkpoints. No commit point: each merge leaves the same bytes for everybody, so it may end anywhere.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class MergeKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "merge-checkpoints";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <summary>More at a time would only take the disk from each other.</summary>
    public int Limit => 2;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var asked = JsonSerializer.Deserialize(order, StoreJson.Default.MergeOrder)!;
        var worker = new JobWorker(parts, asked.Vm);
        return [new StartWorkerStep(worker, Checkpointing.Validate), new MergeImagesStep(parts, worker), new ReleaseWorkerStep(worker, Checkpointing.Finish)];
    }
}
