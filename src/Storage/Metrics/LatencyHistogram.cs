using System.Numerics;

namespace Godwit.Storage.Metrics;

/// <summary>How long requests took, in steps of a quarter of each power of two: a reading is at most 25 % too high.</summary>
public sealed class LatencyHistogram
{
    private const int StepsShift = 2;
    private const int FirstBits = 10; // below about a microsecond everything is one step
    private const int Powers = 30; // up to 18 minutes

    /// <summary>Steps there are.</summary>
    public const int Length = (Powers << StepsShift) + 1;

    /// <summary>A histogram of counts that were taken elsewhere.</summary>
    /// <param name="counts">Requests in each step; becomes the histogram's.</param>
    public LatencyHistogram(long[] counts) => Counts = counts;

    /// <summary>Requests in each step.</summary>
    public long[] Counts { get; }

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
}
