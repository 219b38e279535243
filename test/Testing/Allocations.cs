using System.Diagnostics;
using System.Reflection;

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

    /// <summary>The object's code was compiled without optimization.</summary>
    public static bool IsDebugBuild(object code) =>
        code.GetType().Assembly.GetCustomAttribute<DebuggableAttribute>()?.IsJITOptimizerDisabled ?? false;
}
