namespace Godwit.Testing;

/// <summary>Counts what synchronous code allocates.</summary>
public static class Allocations
{
    /// <summary>Bytes the action allocates on this thread in steady state: the fewest of several runs, because the
    /// runtime allocates now and then on its own, while code that allocates does so every time.</summary>
    public static long InSteadyState(Action action)
    {
        action();
        var fewest = long.MaxValue;
        for (var run = 0; run < 5 && fewest > 0; run++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            action();
            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return fewest;
    }
}
