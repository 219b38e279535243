using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Migrations;
using Godwit.ControlPlane.VirtualMachines;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ModelBinding;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/vms</summary>
internal static class VirtualMachineEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var vms = routes.MapGroup("/v1/vms").WithTags("VirtualMachines").ProducesProblem(StatusCodes.Status500InternalServerError);
        vms.MapGet("", (VirtualMachineOperations operations, CancellationToken token) => operations.ListAsync(token))
            .WithSummary("All VMs by name.");
        vms.MapPost("", CreateAsync).WithSummary("Defines a VM and creates its new disks.");
        vms.MapGet("/{name}", (string name, VirtualMachineOperations operations, CancellationToken token) => operations.GetAsync(name, token))
            .WithSummary("One VM.");
        vms.MapDelete("/{name}", RemoveAsync).WithSummary("Removes a VM; its disk files stay unless deleteDisks is true.");
        vms.MapPost("/{name}/start", (string name, VirtualMachineOperations operations, CancellationToken token) => operations.StartAsync(name, token))
            .WithSummary("Starts a VM; answers when its processors run.");
        vms.MapPost("/{name}/stop", StopAsync).WithSummary("Shuts a VM down or turns it off; answers when it is off.");
        vms.MapPost("/{name}/restart-worker", (string name, WorkerRestarts restarts, CancellationToken token) => restarts.RestartAsync(name, token))
            .WithSummary("Puts the installed worker program in the place of the one that runs; the guest waits some milliseconds.");
        vms.MapPut("/{name}/disks/{disk}/limits", (string name, string disk, DiskLimitSpec limits, DiskLimiting limiting, CancellationToken token) =>
                limiting.SetAsync(name, disk, limits, token))
            .WithSummary("Limits how much a disk of a running VM may be used; holds at once. Without a field there is no such limit.");
        vms.MapPost("/{name}/storage-moves", MoveAsync).WithSummary("Moves disks while the VM runs; with dryRun only checks and plans.");
    }

    private static async Task<Created<VirtualMachine>> CreateAsync(
        VirtualMachineSpec spec, VirtualMachineLife life, VirtualMachineOperations operations, CancellationToken token)
    {
        await life.CreateAsync(spec, token);
        var vm = await operations.GetAsync(spec.Name, token);
        return TypedResults.Created("/v1/vms/" + Uri.EscapeDataString(vm.Name), vm);
    }

    private static async Task<NoContent> RemoveAsync(
        string name, VirtualMachineLife life, CancellationToken token, bool deleteDisks = false, bool force = false)
    {
        await life.RemoveAsync(name, deleteDisks, force, token);
        return TypedResults.NoContent();
    }

    private static Task<VirtualMachine> StopAsync(
        string name,
        [FromBody(EmptyBodyBehavior = EmptyBodyBehavior.Allow)] StopRequest? request,
        VirtualMachineOperations operations,
        CancellationToken token) => operations.StopAsync(name, request ?? new StopRequest(), token);

    private static async Task<Results<Accepted<Job>, Ok<StorageMovePlan>>> MoveAsync(
        string name, StorageMoveRequest request, StorageMoves moves, CancellationToken token)
    {
        if (request.DryRun)
        {
            return TypedResults.Ok(await moves.PlanAsync(name, request, token));
        }
        var job = await moves.SubmitAsync(name, request, token);
        return TypedResults.Accepted($"/v1/jobs/{job.Id}", job);
    }
}
