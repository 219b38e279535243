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
public sealed record OperationStatistics(long Requests, long Bytes, long Errors, long Nanoseconds, IReadOnlyList<LatencyStep> Latency);

/// <summary>Requests that took about the same time.</summary>
/// <param name="Nanoseconds">The longest of them may have taken so long.</param>
/// <param name="Requests">How many.</param>
public readonly record struct LatencyStep(long Nanoseconds, long Requests);
