using Godwit.Api;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>One saving while it is being driven: what its steps share.</summary>
internal sealed class Saving(VirtualMachineParts parts, SaveOrder order)
{
    public const string Validate = "Validate";
    public const string Transfer = "Transfer";
    public const string Finish = "Finish";

    public VirtualMachineParts Parts => parts;

    public MemoryWriting Memory { get; } = new(parts);

    public VirtualMachineRecord Vm => parts.Vms.Find(order.Vm) ?? throw new GodwitException(ErrorCode.NotFound, "The VM has been removed.");

    /// <summary>The file; only this job can have made it, so deleting it is always safe.</summary>
    public string FileOf(Guid job) => FileOf(Vm, job);

    /// <summary>Where a job puts the saved state of a VM.</summary>
    public static string FileOf(VirtualMachineRecord vm, Guid job) =>
        Path.Combine(vm.Path, ConfigurationFiles.Folder, $"{vm.Id:D}.{job.ToString("N")[..8]}.state");
}
