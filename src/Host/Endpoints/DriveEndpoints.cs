using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Drives;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/vms/{name}: drives</summary>
internal static class DriveEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var vm = routes.MapGroup("/v1/vms/{name}").WithTags("VirtualMachines").ProducesProblem(StatusCodes.Status500InternalServerError);
        vm.MapPut("/dvd-drives/{drive}", SetMediumAsync).WithSummary("Puts a disc into a DVD drive, or takes it out when no path is given; a running guest sees it at once.");
    }

    private static async Task<VirtualMachine> SetMediumAsync(
        string name, string drive, DvdMedium medium, DvdDrives drives, VirtualMachineOperations vms, CancellationToken token)
    {
        await drives.SetAsync(name, drive, medium, token);
        return await vms.GetAsync(name, token);
    }
}
