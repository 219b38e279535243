using System.Diagnostics;

namespace Godwit.Storage.Metrics;

/// <summary>Counts the requests of a disk. Any thread may add and read at any time; adding takes no lock and allocates nothing.</summary>
/// <remarks>Each thread adds in one of several stripes, so that connections do not pull one cache line to and fro.</remarks>
public sealed class DiskCounters
{
    private const int Stripes = 8;
    private const int Operations = 4;
    private const int Requests = 0;
    private const int Bytes = 1;
    private const int Errors = 2;
    private const int Time = 3;
    private const int Latency = 8; // a cache line on
    private const int OperationLength = (Latency + LatencyHistogram.Length + 7) & ~7;
    private static readonly double NanosecondsPerTick = 1e9 / Stopwatch.Frequency;
    private readonly long[] _counts = new long[Stripes * Operations * OperationLength];

    /// <summary>Counts a request that has ended.</summary>
    /// <param name="operation">Its kind.</param>
    /// <param name="bytes">Bytes it was about.</param>
    /// <param name="started">When it began: <see cref="Stopwatch.GetTimestamp"/>.</param>
    /// <param name="failed">It failed.</param>
    public void Add(DiskOperation operation, long bytes, long started, bool failed)
    {
        var took = (long)((Stopwatch.GetTimestamp() - started) * NanosecondsPerTick);
        var stripe = Environment.CurrentManagedThreadId & (Stripes - 1);
        var at = ((stripe * Operations) + (int)operation) * OperationLength;
        Interlocked.Increment(ref _counts[at + Requests]);
        Interlocked.Add(ref _counts[at + (failed ? Errors : Bytes)], failed ? 1 : bytes);
        Interlocked.Add(ref _counts[at + Time], took);
        Interlocked.Increment(ref _counts[at + Latency + LatencyHistogram.StepOf(took)]);
    }

    /// <summary>All requests that have ended, and their times together.</summary>
    public GuestLoad ReadLoad()
    {
        var (requests, time) = (0L, 0L);
        for (var at = 0; at < _counts.Length; at += OperationLength)
        {
            requests += Volatile.Read(ref _counts[at + Requests]);
            time += Volatile.Read(ref _counts[at + Time]);
        }

        return new GuestLoad(requests, time);
    }

    /// <summary>The counts as they are now. Requests that end meanwhile may be in some of the numbers only.</summary>
    public OperationCounts Read(DiskOperation operation)
    {
        var (requests, bytes, errors, time) = (0L, 0L, 0L, 0L);
        var latency = new long[LatencyHistogram.Length];
        for (var stripe = 0; stripe < Stripes; stripe++)
        {
            var at = ((stripe * Operations) + (int)operation) * OperationLength;
            requests += Volatile.Read(ref _counts[at + Requests]);
            bytes += Volatile.Read(ref _counts[at + Bytes]);
            errors += Volatile.Read(ref _counts[at + Errors]);
            time += Volatile.Read(ref _counts[at + Time]);
            for (var step = 0; step < latency.Length; step++)
                latency[step] += Volatile.Read(ref _counts[at + Latency + step]);
        }

        return new OperationCounts(requests, bytes, errors, time, new LatencyHistogram(latency));
    }
}
