using System.Diagnostics;

namespace Godwit.Nbd.Interop;

/// <summary>How long to ask again and again for input before sleeping until it comes. Used by one thread.</summary>
/// <remarks>
/// Waking a thread takes longer than serving a small request: 5 us on a computer, 20 us and more on a virtual one whose idle processors
/// stop. So after waits that were short the next one is begun with asking, for a time that grows while that would have helped and falls
/// to nothing at the first wait that was long: an idle connection costs nothing. QEMU's event loops do the same, for 32 us
/// at most; its NBD client takes 30 to 40 us between two requests on a virtual computer, so that with 32 every other wait was slept through.
/// </remarks>
internal sealed class AdaptiveWait
{
    private static readonly long Most = Stopwatch.Frequency * 48 / 1_000_000;
    private static readonly long Least = Stopwatch.Frequency * 4 / 1_000_000;
    private long _limit;
    private long _started;

    /// <summary>A wait begins.</summary>
    public void Begin() => _started = Stopwatch.GetTimestamp();

    /// <summary>Whether to ask once more instead of sleeping.</summary>
    public bool AskAgain() => _limit > 0 && Stopwatch.GetTimestamp() - _started < _limit;

    /// <summary>The wait is over, whether it was slept through or not.</summary>
    public void End()
    {
        var took = Stopwatch.GetTimestamp() - _started;
        if (took > Most)
            _limit = 0;
        else if (took > _limit)
            _limit = Math.Min(Most, Math.Max(Least, 2 * _limit));
    }
}
