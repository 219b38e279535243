using System.Diagnostics;

namespace Godwit.Benchmarks.Latency;

/// <summary>How many requests took how long, to the microsecond up to a tenth of a second.</summary>
internal sealed class LatencyCounts
{
    private static readonly double MicrosecondsPerTick = 1e6 / Stopwatch.Frequency;
    private readonly long[] _counts = new long[100_001];

    public long Requests { get; private set; }

    public double LongestMilliseconds { get; private set; }

    /// <summary>Requests of more than five milliseconds.</summary>
    public long Stalls => _counts[5_000..].Sum();

    public void Add(long ticks)
    {
        var microseconds = ticks * MicrosecondsPerTick;
        _counts[(int)Math.Min(microseconds, _counts.Length - 1)]++;
        Requests++;
        LongestMilliseconds = Math.Max(LongestMilliseconds, microseconds / 1000);
    }

    /// <summary>The time that so many of a thousand requests did not exceed, in microseconds.</summary>
    public int Permille(double permille)
    {
        var left = Requests * permille / 1000;
        for (var microseconds = 0; microseconds < _counts.Length; microseconds++)
        {
            left -= _counts[microseconds];
            if (left < 0)
                return microseconds;
        }

        return _counts.Length - 1;
    }
}
