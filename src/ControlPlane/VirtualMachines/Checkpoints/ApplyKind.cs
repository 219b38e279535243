using System.Text.Json;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;
using Godwit.ControlPlane.VirtualMachines.Creating;

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
            new EndForApplyStep(parts, asked),
            .. asked.Disks.Select(disk => new MakeLayerStep(parts, asked, disk)),
            .. asked.Disks.Select(disk => new PlaceDiskStep(parts, disk)),
            new LinkMemoryStep(parts, asked),
            new RecordAppliedStep(parts, asked),
            new RemoveLeftStep(parts, asked),
        ];
    }
}
