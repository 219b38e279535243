using System.Text.Json;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines.Removing;

/// <summary>Removes a VM. The commit point is its record: before it the VM stays, after it only what is left of it is removed.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class RemoveKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "remove";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <inheritdoc/>
    public int Limit => 8;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var asked = JsonSerializer.Deserialize(order, StoreJson.Default.RemoveOrder)!;
        return [new EndProcessesStep(parts, asked.Vm.Id, asked.Force), new RemoveRecordStep(parts, asked), new RemoveFilesStep(parts, asked)];
    }
}
