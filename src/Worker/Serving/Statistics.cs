using Godwit.Api.Disks;
using Godwit.Storage.Metrics;

namespace Godwit.Worker.Serving;

/// <summary>A disk's counters as they cross the process boundary.</summary>
internal static class Statistics
{
    /// <summary>The counters as they are now.</summary>
    public static DiskStatistics Of(DiskCounters counters) => new(
        Of(counters.Read(DiskOperation.Read)),
        Of(counters.Read(DiskOperation.Write)),
        Of(counters.Read(DiskOperation.Flush)),
        Of(counters.Read(DiskOperation.Discard)));

    private static OperationStatistics Of(OperationCounts counts) =>
        new(counts.Requests, counts.Bytes, counts.Errors, counts.Nanoseconds, Steps(counts.Latency));

    private static List<LatencyStep> Steps(LatencyHistogram latency)
    {
        var steps = new List<LatencyStep>();
        for (var step = 0; step < latency.Counts.Length; step++)
        {
            if (latency.Counts[step] > 0)
                steps.Add(new LatencyStep(LatencyHistogram.EndOf(step), latency.Counts[step]));
        }

        return steps;
    }
}
