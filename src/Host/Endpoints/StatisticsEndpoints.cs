using System.Text;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.Host.Endpoints;

/// <summary>/v1/statistics, and the same for Prometheus and OpenTelemetry's collector: /metrics</summary>
internal static class StatisticsEndpoints
{
    private const string PrometheusText = "text/plain; version=0.0.4";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/statistics", (StatisticsReader reader, CancellationToken token) => reader.ListAsync(token))
            .WithTags("Statistics").WithSummary("What the disks of all running VMs have done.");
        routes.MapGet("/metrics", WriteAsync).WithTags("Statistics").WithSummary("The same in Prometheus' text format.");
    }

    private static async Task<IResult> WriteAsync(StatisticsReader reader, CancellationToken token) =>
        Results.Text(MetricsText.Of(await reader.ListAsync(token)), PrometheusText, Encoding.UTF8);
}
