using Godwit.Storage.Metrics;

namespace Godwit.Storage.Mirror;

/// <summary>
/// Keeps the background copy out of the guests' way: it rests as much as it takes for guests to wait little longer than they do
/// when nothing is copied.
/// </summary>
/// <remarks>
/// <para>Looks every tenth of a second, or every second when they ask for little, at how long guests waited on average. How long they wait without the copy it finds out by standing still
/// for a moment every few seconds, while there are guests. The copy's share of the time is halved when guests wait too long and
/// grows by a quarter when they do not, between a tenth and all: a tenth always goes on, and who writes faster than that is brought in by the
/// synchronous mode.</para>
/// <para>For one copy, one call at a time. Without guests it costs nothing.</para>
/// </remarks>
/// <param name="guests">What guests have asked for so far; null: nobody is spared.</param>
/// <param name="time">The clock.</param>
internal sealed class CopyPacer(Func<GuestLoad>? guests, TimeProvider time)
{
    private const double SmallestShare = 0.1;
    private const double Tolerated = 1.5;
    private const double ToleratedNanoseconds = 50_000;
    private const int EnoughRequests = 10;
    private const int FewRequests = 5;
    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestWindow = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StandStill = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan BetweenStandStills = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ShortestRest = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestRest = TimeSpan.FromSeconds(1);

    private GuestLoad _seen = guests?.Invoke() ?? default;
    private long _windowBegan = time.GetTimestamp();
    private long _stoodStill;
    private double _undisturbed;
    private TimeSpan _owed;

    /// <summary>The part of the time in which the copy works; 1 when it does not rest.</summary>
    public double Share { get; private set; } = 1;

    /// <summary>Follows each step of the copy.</summary>
    /// <param name="begun">When the step began, by the clock.</param>
    /// <param name="cancellationToken">Ends the rest.</param>
    public ValueTask RestAsync(long begun, CancellationToken cancellationToken)
    {
        if (guests is null)
            return ValueTask.CompletedTask;
        var now = time.GetTimestamp();
        if (Share < 1)
            _owed += time.GetElapsedTime(begun, now) * ((1 / Share) - 1);
        var window = time.GetElapsedTime(_windowBegan, now);
        if (window >= Window && (window >= LongestWindow || guests().Requests - _seen.Requests >= EnoughRequests))
            return JudgeAsync(guests, cancellationToken);
        return _owed >= ShortestRest ? PayAsync(cancellationToken) : ValueTask.CompletedTask;
    }

    private async ValueTask JudgeAsync(Func<GuestLoad> load, CancellationToken cancellationToken)
    {
        var seen = load();
        var busy = seen.Requests - _seen.Requests >= FewRequests;
        if (!busy)
            (Share, _owed) = (1, TimeSpan.Zero);
        else if (_undisturbed > 0)
            Adapt(seen.MeanSince(_seen));
        if (busy && (_stoodStill == 0 || time.GetElapsedTime(_stoodStill) >= BetweenStandStills))
            await LookWithoutCopyAsync(load, cancellationToken).ConfigureAwait(false);
        else if (_owed >= ShortestRest)
            await PayAsync(cancellationToken).ConfigureAwait(false);
        (_seen, _windowBegan) = (load(), time.GetTimestamp());
    }

    private void Adapt(double waited)
    {
        var tolerable = (_undisturbed * Tolerated) + ToleratedNanoseconds;
        Share = waited > tolerable ? Math.Max(SmallestShare, Share / 2) : Math.Min(1, Share * 1.25);
        if (Share == 1)
            _owed = TimeSpan.Zero;
    }

    private async ValueTask LookWithoutCopyAsync(Func<GuestLoad> load, CancellationToken cancellationToken)
    {
        // What the copy had begun at the device may still be under way for a moment: not looked at yet.
        await Task.Delay(StandStill / 2, time, cancellationToken).ConfigureAwait(false);
        var before = load();
        await Task.Delay(StandStill, time, cancellationToken).ConfigureAwait(false);
        var mean = load().MeanSince(before);
        if (mean > 0)
            _undisturbed = _undisturbed == 0 ? mean : (_undisturbed + mean) / 2;
        _stoodStill = time.GetTimestamp();
        _owed = TimeSpan.Zero;
    }

    private async ValueTask PayAsync(CancellationToken cancellationToken)
    {
        var begun = time.GetTimestamp();
        await Task.Delay(_owed < LongestRest ? _owed : LongestRest, time, cancellationToken).ConfigureAwait(false);

        // Timers are late; what was rested too long is worked off.
        _owed -= time.GetElapsedTime(begun);
    }
}
