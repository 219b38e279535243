using Godwit.Api.Disks;
using Godwit.ControlPlane.VirtualMachines;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/vms/{name}/disks/{disk}/points</summary>
internal static class PointEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var points = routes.MapGroup("/v1/vms/{name}/disks/{disk}/points").WithTags("VirtualMachines").ProducesProblem(StatusCodes.Status500InternalServerError);
        points.MapGet("", (string name, string disk, DiskTracking tracking, CancellationToken token) => tracking.ListAsync(name, disk, token))
            .WithSummary("Points since which the changes of a running VM's disk are marked, oldest first.");
        points.MapPost("", AddAsync).WithSummary("Starts a point: what changes from here on is marked.");
        points.MapDelete("/{point}", RemoveAsync).WithSummary("Forgets a point.");
    }

    private static async Task<Created<DiskPoint>> AddAsync(string name, string disk, DiskPointSpec spec, DiskTracking tracking, CancellationToken token)
    {
        var point = await tracking.AddAsync(name, disk, spec, token);
        return TypedResults.Created($"/v1/vms/{Uri.EscapeDataString(name)}/disks/{Uri.EscapeDataString(disk)}/points/{Uri.EscapeDataString(point.Name)}", point);
    }

    private static async Task<NoContent> RemoveAsync(string name, string disk, string point, DiskTracking tracking, CancellationToken token)
    {
        await tracking.RemoveAsync(name, disk, point, token);
        return TypedResults.NoContent();
    }
}
