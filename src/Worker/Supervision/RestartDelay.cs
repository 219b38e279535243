namespace Godwit.Worker.Supervision;

/// <summary>
/// How long to wait before a dead worker is started again: not at all, so that the guest hardly notices, unless it keeps
/// dying right after its start. Not thread-safe.
/// </summary>
internal sealed class RestartDelay
{
    private const int FreeRestarts = 5;
    private static readonly TimeSpan Quick = TimeSpan.FromSeconds(1);

    // A worker killed from outside has done nothing wrong, however young: waiting would only lengthen the guest's stall.
    // Only one that is killed before it can have served is taken for the victim of its own hunger for memory.
    private static readonly TimeSpan QuickWhenKilled = TimeSpan.FromMilliseconds(30);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);
    private int _quickDeaths;

    /// <summary>Takes note of a death.</summary>
    /// <param name="lifetime">How long the worker had run.</param>
    /// <param name="killed">It was killed by SIGKILL, which no fault of its own raises.</param>
    /// <returns>The wait before the next start.</returns>
    internal TimeSpan AfterDeath(TimeSpan lifetime, bool killed)
    {
        _quickDeaths = lifetime < (killed ? QuickWhenKilled : Quick) ? Math.Min(_quickDeaths + 1, 30) : 0;
        var beyond = _quickDeaths - FreeRestarts;
        return beyond <= 0 ? TimeSpan.Zero : Min(TimeSpan.FromMilliseconds(25L << (beyond - 1)), Longest);
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
