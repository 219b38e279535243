namespace Godwit.Storage.Limits;

/// <summary>A rate that may be exceeded for a while after idle time, up to a higher one. Any thread may use and change it at any time.</summary>
/// <remarks>Two token buckets: one fills at the rate and holds what a burst may take beyond it, the other keeps the burst to its own rate.</remarks>
/// <param name="time">The clock.</param>
internal sealed class BurstLimit(TimeProvider time)
{
    private readonly RateLimit _rate = new(null, time);
    private readonly RateLimit _peak = new(null, time);

    /// <summary>Changes the limit; a whole burst may be taken at once.</summary>
    /// <param name="perSecond">Units per second in the long run, above zero; null for no limit.</param>
    /// <param name="burst">Units per second during a burst, above <paramref name="perSecond"/>; null for no bursts.</param>
    /// <param name="seconds">How long a burst at its full rate lasts.</param>
    /// <exception cref="ArgumentOutOfRangeException">A rate is zero or less.</exception>
    public void Set(long? perSecond, long? burst, int seconds)
    {
        _peak.PerSecond = perSecond is null ? null : burst;
        _rate.Set(perSecond, perSecond is long rate && burst is long peak ? Math.Max(0, (double)(peak - rate)) * seconds : 0);
    }

    /// <summary>Accounts for what was taken and waits until both rates allow more.</summary>
    /// <param name="units">How much.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async ValueTask TakeAsync(long units, CancellationToken cancellationToken)
    {
        var peak = _peak.TakeAsync(units, cancellationToken);
        await _rate.TakeAsync(units, cancellationToken).ConfigureAwait(false);
        await peak.ConfigureAwait(false);
    }
}
