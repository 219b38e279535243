using System.Numerics;

namespace Godwit.Storage.Metrics;

/// <summary>How long requests took, in steps of a quarter of each power of two: a reading is at most 25 % too high.</summary>
/// <remarks>Not thread-safe: whoever adds has it alone or adds atomically to <see cref="Counts"/>.</remarks>
public sealed class LatencyHistogram
{
    private const int StepsShift = 2;
    private const int FirstBits = 10; // below about a microsecond everything is one step
    private const int Powers = 30; // up to 18 minutes

    /// <summary>Steps there are.</summary>
    public const int Length = (Powers << StepsShift) + 1;

    /// <summary>Creates a histogram without requests.</summary>
    public LatencyHistogram()
        : this(new long[Length])
    {
    }

    /// <summary>A histogram of counts that were taken elsewhere.</summary>
    /// <param name="counts">Requests in each step; becomes the histogram's.</param>
    public LatencyHistogram(long[] counts) => Counts = counts;

    /// <summary>Requests in each step.</summary>
    public long[] Counts { get; }

    /// <summary>Requests in all.</summary>
    public long Total => Counts.Sum();

    /// <summary>The step a time belongs to.</summary>
    /// <param name="nanoseconds">The time.</param>
    public static int StepOf(long nanoseconds)
    {
        if (nanoseconds < 1L << FirstBits)
            return 0;
        var power = BitOperations.Log2((ulong)nanoseconds);
        var quarter = (int)(nanoseconds >> (power - StepsShift)) & ((1 << StepsShift) - 1);
        return Math.Min(Length - 1, ((power - FirstBits) << StepsShift) + quarter + 1);
    }

    /// <summary>The longest time of a step, in nanoseconds.</summary>
    public static long EndOf(int step)
    {
        if (step == 0)
            return 1L << FirstBits;
        var power = FirstBits + ((step - 1) >> StepsShift);
        return (1L << power) + ((((step - 1) & ((1 << StepsShift) - 1)) + 1L) << (power - StepsShift));
    }

    /// <summary>The time that a part of all requests did not exceed, in nanoseconds; 0 without requests.</summary>
    /// <param name="part">Between 0 and 1: 0.99 for the 99th percentile.</param>
    public long Percentile(double part)
    {
        var wanted = Math.Max(1, (long)Math.Ceiling(Total * part));
        for (var step = 0; step < Counts.Length; step++)
        {
            wanted -= Counts[step];
            if (wanted <= 0)
                return EndOf(step);
        }

        return 0;
    }

    /// <summary>What has been added since an earlier reading.</summary>
    public LatencyHistogram Since(LatencyHistogram earlier) => new([.. Counts.Zip(earlier.Counts, static (now, before) => now - before)]);
}
