using Godwit.Api.Disks;
using Xunit;

namespace Godwit.ControlPlane.Tests.Api;

public sealed class DiskStatisticsTests
{
    private static readonly OperationStatistics Some = new(100, 4096, 1, 10, [new LatencyStep(114_688, 98), new LatencyStep(5_242_880, 2)]);

    [Fact]
    public void Percentiles_count_from_below_and_differences_leave_the_past_out()
    {
        Assert.Equal(114_688, Some.Percentile(0.98));
        Assert.Equal(5_242_880, Some.Percentile(0.99));
        Assert.Equal(0, new OperationStatistics(0, 0, 0, 0, []).Percentile(0.5));
        var later = Some with { Requests = 103, Bytes = 8192, Latency = [new LatencyStep(1024, 3), .. Some.Latency] };
        var since = later.Since(Some);
        Assert.Equal((3, 4096, 0), (since.Requests, since.Bytes, since.Errors));
        Assert.Equal((3, 1024), (since.Latency.Sum(step => step.Requests), since.Percentile(0.99)));
        Assert.Same(Some, Some.Since(null));
    }
}
