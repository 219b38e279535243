namespace Godwit.Api.Disks;

/// <summary>What a disk has done since its worker opened it. A worker that was started again counts from zero.</summary>
/// <param name="Reads">Reads.</param>
/// <param name="Writes">Writes of data.</param>
/// <param name="Flushes">Flushes.</param>
/// <param name="Discards">Trims and zeroing.</param>
public sealed record DiskStatistics(OperationStatistics Reads, OperationStatistics Writes, OperationStatistics Flushes, OperationStatistics Discards);

/// <summary>One kind of request.</summary>
/// <param name="Requests">Requests that have ended, failed ones included.</param>
/// <param name="Bytes">Bytes of those that succeeded; 0 for flushes.</param>
/// <param name="Errors">Requests that failed.</param>
/// <param name="Nanoseconds">The time all of them took together.</param>
/// <param name="Latency">How long they took: the steps in which there are any, by rising time.</param>
public sealed record OperationStatistics(long Requests, long Bytes, long Errors, long Nanoseconds, IReadOnlyList<LatencyStep> Latency)
{
    /// <summary>What has come since an earlier look at the same counters; everything when there was none.</summary>
    public OperationStatistics Since(OperationStatistics? earlier)
    {
        if (earlier is null)
            return this;
        var before = earlier.Latency.ToDictionary(step => step.Nanoseconds, step => step.Requests);
        return new OperationStatistics(
            Requests - earlier.Requests, Bytes - earlier.Bytes, Errors - earlier.Errors, Nanoseconds - earlier.Nanoseconds,
            [.. Latency.Select(step => step with { Requests = step.Requests - before.GetValueOrDefault(step.Nanoseconds) }).Where(step => step.Requests > 0)]);
    }

    /// <summary>The time that a part of all requests did not exceed, in nanoseconds; 0 without requests.</summary>
    /// <param name="part">Between 0 and 1: 0.99 for the 99th percentile.</param>
    public long Percentile(double part)
    {
        var wanted = (long)Math.Ceiling(Latency.Sum(step => step.Requests) * part);
        foreach (var (nanoseconds, requests) in Latency)
        {
            wanted -= requests;
            if (wanted <= 0)
                return nanoseconds;
        }

        return 0;
    }
}

/// <summary>Requests that took about the same time.</summary>
/// <param name="Nanoseconds">The longest of them may have taken so long.</param>
/// <param name="Requests">How many.</param>
public readonly record struct LatencyStep(long Nanoseconds, long Requests);
