using System.Text.Json;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Writes memory and devices of a VM into a file and ends its processes. The commit point is the VM's record.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class SaveKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "save";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <summary>More at a time would only take the disk from each other.</summary>
    public int Limit => 2;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var saving = new Saving(parts, JsonSerializer.Deserialize(order, StoreJson.Default.SaveOrder)!);
        return [new CheckSaveStep(saving), new WriteMemoryStep(saving), new RecordSavedStep(saving), new EndSavedStep(saving)];
    }
}
