using System.Text.Json;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Defines a VM and creates its new disks. The commit point is the VM's record.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class CreateKind(VirtualMachineParts parts) : IJobKind
{
    internal const string KindName = "create";

    /// <inheritdoc/>
    public string Name => KindName;

    /// <inheritdoc/>
    public int Limit => 8;

    /// <inheritdoc/>
    public IReadOnlyList<IJobStep> Plan(string order)
    {
        var asked = JsonSerializer.Deserialize(order, StoreJson.Default.CreateOrder)!;
        var fresh = asked.Vm.Disks.Where(disk => asked.NewDisks.Contains(disk.Name)).ToList();
        IEnumerable<IJobStep> firmware = asked.Vm.FirmwareVariables is { } file ? [new WriteFirmwareStep(parts, asked.Vm, file)] : [];
        return [.. firmware, .. fresh.Select(disk => new CreateDiskStep(parts, disk)), .. fresh.Select(disk => new PlaceDiskStep(parts, disk)), new RecordNewStep(parts, asked.Vm)];
    }
}
