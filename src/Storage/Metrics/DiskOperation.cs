namespace Godwit.Storage.Metrics;

/// <summary>Kinds of requests that are counted apart.</summary>
public enum DiskOperation
{
    /// <summary>Reads.</summary>
    Read = 0,

    /// <summary>Writes of data.</summary>
    Write = 1,

    /// <summary>Flushes.</summary>
    Flush = 2,

    /// <summary>Trims and zeroing.</summary>
    Discard = 3,
}

/// <summary>What was done of one kind of request since the disk was opened.</summary>
/// <param name="Requests">Requests that have ended, failed ones included.</param>
/// <param name="Bytes">Bytes of those that succeeded; 0 for flushes.</param>
/// <param name="Errors">Requests that failed.</param>
/// <param name="Nanoseconds">The time all of them took together.</param>
/// <param name="Latency">How long they took.</param>
public sealed record OperationCounts(long Requests, long Bytes, long Errors, long Nanoseconds, LatencyHistogram Latency);
