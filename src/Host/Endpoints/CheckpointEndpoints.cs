using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/vms/{name}/checkpoints</summary>
internal static class CheckpointEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var vm = routes.MapGroup("/v1/vms/{name}").WithTags("Checkpoints").ProducesProblem(StatusCodes.Status500InternalServerError);
        vm.MapGet("/checkpoints", (string name, CheckpointOperations checkpoints) => checkpoints.List(name)).WithSummary("The checkpoints of a VM, the oldest first.");
        vm.MapPost("/checkpoints", CreateAsync).WithSummary("Takes a checkpoint: disks and, of a VM that runs or is saved, memory.");
        vm.MapPost("/checkpoints/{checkpoint}/apply", ApplyAsync).WithSummary("Makes the VM what it was at a checkpoint, given by id or name; what it is now is lost.");
        vm.MapPost("/checkpoints/{checkpoint}/rename", RenameAsync).WithSummary("Gives a checkpoint another name.");
        vm.MapDelete("/checkpoints/{checkpoint}", RemoveAsync).WithSummary("Removes a checkpoint, with ?subtree=true all below it too; the job merges its images.");
        vm.MapPost("/checkpoint-merges", MergeAsync).WithSummary("Merges what removed checkpoints have left, after a merging that did not get to its end.");
    }

    private static async Task<Accepted<Job>> CreateAsync(string name, CheckpointSpec spec, CheckpointOperations checkpoints, CancellationToken token) =>
        Accepted(await checkpoints.CreateAsync(name, spec, token));

    private static async Task<Accepted<Job>> ApplyAsync(
        string name, string checkpoint, ApplyRequest request, CheckpointOperations checkpoints, CancellationToken token) =>
        Accepted(await checkpoints.ApplyAsync(name, checkpoint, request, token));

    private static async Task<CheckpointList> RenameAsync(
        string name, string checkpoint, RenameRequest request, CheckpointOperations checkpoints, CancellationToken token)
    {
        await checkpoints.RenameAsync(name, checkpoint, request.Name, token);
        return checkpoints.List(name);
    }

    private static async Task<Accepted<Job>> RemoveAsync(
        string name, string checkpoint, CheckpointOperations checkpoints, CancellationToken token, bool subtree = false) =>
        Accepted(await checkpoints.RemoveAsync(name, checkpoint, subtree, token));

    private static async Task<Accepted<Job>> MergeAsync(string name, CheckpointOperations checkpoints, CancellationToken token) =>
        Accepted(await checkpoints.MergeAsync(name, token));

    private static Accepted<Job> Accepted(Job job) => TypedResults.Accepted($"/v1/jobs/{job.Id}", job);
}
