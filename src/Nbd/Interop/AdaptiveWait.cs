using System.Diagnostics;

namespace Godwit.Nbd.Interop;

/// <summary>How long to ask again and again for input before sleeping until it comes. Used by one thread.</summary>
/// <remarks>
/// Waking a thread takes longer than serving a small request: 5 us on a computer, 20 us and more on a virtual one whose idle processors
/// stop. So a wait is begun with asking while most of the last ones were short; a long wait counts as much as three short ones, so one in
/// four of them ends the asking, and an idle connection costs nothing. One long wait alone changes nothing: on a busy computer
/// some always are, because a processor was given to somebody else. QEMU's event loops ask for 32 us at most; its NBD client takes 20 to
/// 40 us between two requests on a virtual computer, so that with 32 every other wait was slept through.
/// </remarks>
internal sealed class AdaptiveWait
{
    private const int LongCounts = 3;
    private const int MostTrust = 5 * LongCounts;
    private static readonly long Short = Stopwatch.Frequency * 48 / 1_000_000;
    private int _trust;
    private long _started;

    /// <summary>A wait begins.</summary>
    public void Begin() => _started = Stopwatch.GetTimestamp();

    /// <summary>Whether to ask once more instead of sleeping.</summary>
    public bool AskAgain() => _trust > 0 && Stopwatch.GetTimestamp() - _started < Short;

    /// <summary>The wait is over, whether it was slept through or not.</summary>
    public void End()
    {
        var wasShort = Stopwatch.GetTimestamp() - _started <= Short;
        _trust = wasShort ? Math.Min(MostTrust, _trust + 1) : Math.Max(0, _trust - LongCounts);
    }
}
