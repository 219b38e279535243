using System.Text.Json;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;
using Godwit.ControlPlane.VirtualMachines.Creating;
using Godwit.ControlPlane.VirtualMachines.Removing;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>Makes a VM what it was at a checkpoint. The commit point is its record.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class ApplyKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "apply-checkpoint";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <inheritdoc/>
    public int Limit => 8;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var asked = JsonSerializer.Deserialize(order, StoreJson.Default.ApplyOrder)!;
        return
        [
            .. asked.Disks.Select(disk => new MakeLayerStep(parts, asked, disk)),
            .. asked.Disks.Select(disk => new PlaceDiskStep(parts, disk)),
            new LinkMemoryStep(parts, asked),
            // As late as can be: what fails before leaves a VM that runs as it is.
            new EndProcessesStep(parts, asked.Vm, asked.Force),
            new RecordAppliedStep(parts, asked),
            new RemoveLeftStep(parts, asked),
        ];
    }
}
