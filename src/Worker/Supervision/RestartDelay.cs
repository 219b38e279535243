namespace Godwit.Worker.Supervision;

/// <summary>
/// How long to wait before a dead worker is started again: not at all, so that the guest hardly notices, unless it keeps
/// dying right after its start. Not thread-safe.
/// </summary>
internal sealed class RestartDelay
{
    private const int FreeRestarts = 5;
    private static readonly TimeSpan Quick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);
    private int _quickDeaths;

    /// <summary>Takes note of a death.</summary>
    /// <param name="lifetime">How long the worker had run.</param>
    /// <returns>The wait before the next start.</returns>
    internal TimeSpan AfterDeath(TimeSpan lifetime)
    {
        _quickDeaths = lifetime < Quick ? Math.Min(_quickDeaths + 1, 30) : 0;
        var beyond = _quickDeaths - FreeRestarts;
        return beyond <= 0 ? TimeSpan.Zero : Min(TimeSpan.FromMilliseconds(25L << (beyond - 1)), Longest);
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
