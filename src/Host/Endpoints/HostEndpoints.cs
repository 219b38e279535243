using Godwit.Api.Hosts;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Checks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Host.VirtualMachines;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/host</summary>
internal static class HostEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/host", ShowAsync).WithTags("Host").WithSummary("The host itself.");
        routes.MapGet("/v1/host/checks", (HostChecks checks, CancellationToken token) => checks.RunAsync(token))
            .WithTags("Host").WithSummary("Looks at everything the host needs; changes nothing.");
        routes.MapPost("/v1/host/rescan", (RescanRequest request, Rescan rescan, CancellationToken token) => rescan.RunAsync(request, token))
            .WithTags("Host").WithSummary("Finds configuration files of VMs and takes them in; with dryRun only says what would be done.");
        routes.MapPost("/v1/host/stop-vms", (AutomaticStop stop, CancellationToken token) => stop.StopAllAsync(token))
            .WithTags("Host").WithSummary("Stops all VMs because the host goes down, each as its settings say; answers when none runs.");
    }

    private static async Task<HostStatus> ShowAsync(
        DaemonOptions options, VirtualMachineOperations operations, JobRunner jobs, IAcceleratorChoice accelerators, CancellationToken token)
    {
        var vms = await operations.ListAsync(token);
        var (accelerator, reason) = await accelerators.DescribeAsync(token);
        return new HostStatus(
            Environment.MachineName,
            typeof(HostEndpoints).Assembly.GetName().Version?.ToString(3) ?? "0",
            Environment.ProcessId,
            accelerator,
            reason,
            vms.Count,
            vms.Count(vm => vm.State is not (VirtualMachineState.Off or VirtualMachineState.Saved)),
            jobs.ActiveCount,
            options.StorageMoves,
            options.AllowedRoots);
    }
}
