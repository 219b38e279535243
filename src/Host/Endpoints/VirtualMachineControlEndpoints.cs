using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Saving;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/vms/{name}: settings, name, processors, saved state</summary>
internal static class VirtualMachineControlEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var vm = routes.MapGroup("/v1/vms/{name}").WithTags("VirtualMachines").ProducesProblem(StatusCodes.Status500InternalServerError);
        vm.MapPatch("/settings", SetAsync).WithSummary("Changes some settings; what is left out stays. An empty text takes a text or a file away.");
        vm.MapPost("/rename", RenameAsync).WithSummary("Gives a VM another name; its folder and files keep theirs.");
        vm.MapPost("/pause", PauseAsync).WithSummary("Stops the processors; memory and devices stay.");
        vm.MapPost("/resume", ResumeAsync).WithSummary("Lets the processors run again.");
        vm.MapPost("/reset", ResetAsync).WithSummary("Presses the reset button: the guest boots again.");
        vm.MapPost("/save", SaveAsync).WithSummary("Writes memory and devices into a file and ends the VM's processes; start goes on from there.");
        vm.MapDelete("/saved-state", DiscardAsync).WithSummary("Forgets the saved state: the VM is off, as if its plug had been pulled.");
    }

    private static async Task<VirtualMachine> SetAsync(
        string name, SettingsChange change, VirtualMachineChanges changes, VirtualMachineOperations vms, CancellationToken token)
    {
        await changes.SetAsync(name, change, token);
        return await vms.GetAsync(name, token);
    }

    private static async Task<VirtualMachine> RenameAsync(
        string name, RenameRequest request, VirtualMachineChanges changes, VirtualMachineOperations vms, CancellationToken token)
    {
        await changes.RenameAsync(name, request.Name, token);
        return await vms.GetAsync(request.Name, token);
    }

    private static async Task<VirtualMachine> PauseAsync(
        string name, VirtualMachineControl control, VirtualMachineOperations vms, CancellationToken token)
    {
        await control.PauseAsync(name, token);
        return await vms.GetAsync(name, token);
    }

    private static async Task<VirtualMachine> ResumeAsync(
        string name, VirtualMachineControl control, VirtualMachineOperations vms, CancellationToken token)
    {
        await control.ResumeAsync(name, token);
        return await vms.GetAsync(name, token);
    }

    private static async Task<VirtualMachine> ResetAsync(
        string name, VirtualMachineControl control, VirtualMachineOperations vms, CancellationToken token)
    {
        await control.ResetAsync(name, token);
        return await vms.GetAsync(name, token);
    }

    private static async Task<Accepted<Job>> SaveAsync(string name, SavedStates states, CancellationToken token)
    {
        var job = await states.SubmitAsync(name, token);
        return TypedResults.Accepted($"/v1/jobs/{job.Id}", job);
    }

    private static async Task<VirtualMachine> DiscardAsync(
        string name, SavedStates states, VirtualMachineOperations vms, CancellationToken token)
    {
        await states.DiscardAsync(name, token);
        return await vms.GetAsync(name, token);
    }
}
