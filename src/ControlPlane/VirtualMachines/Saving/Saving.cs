using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>One saving while it is being driven: what its steps share.</summary>
internal sealed class Saving(VirtualMachineParts parts, SaveOrder order)
{
    public const string Validate = "Validate";
    public const string Transfer = "Transfer";
    public const string Finish = "Finish";

    private const string RunningFact = "running";

    public VirtualMachineParts Parts => parts;

    public VirtualMachineRecord Vm => parts.Vms.Find(order.Vm) ?? throw new GodwitException(ErrorCode.NotFound, "The VM has been removed.");

    /// <summary>The file; only this job can have made it, so deleting it is always safe.</summary>
    public string FileOf(Guid job) =>
        Path.Combine(Vm.Path, ConfigurationFiles.Folder, $"{order.Vm:D}.{job.ToString("N")[..8]}.state");

    /// <summary>Whether the vCPUs ran before; journalled before they are stopped.</summary>
    public static bool WasRunning(JobContext context) => context.GetFact(RunningFact) == "true";

    public static void NoteRunning(JobContext context, bool running) => context.SetFact(RunningFact, running ? "true" : "false");

    public static bool IsRunningKnown(JobContext context) => context.GetFact(RunningFact) is not null;
}
