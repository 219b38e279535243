namespace Godwit.Storage.Limits;

/// <summary>Keeps bytes, or requests, below a rate: a token bucket that may go into debt by what is taken at once.</summary>
/// <remarks>Within 5 % over any five seconds: the bucket holds a tenth of a second at most, and
/// <see cref="ChunkLength"/> keeps each debt to a twentieth. May be changed at any time from any thread; takes effect within
/// a quarter of a second. Who takes without a limit never waits. Idle time is saved up beyond that only where
/// <see cref="Set"/> says so.</remarks>
public sealed class RateLimit
{
    private const double BurstSeconds = 0.1;
    private const int ChunksPerSecond = 20;
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(250);

    private readonly Lock _sync = new();
    private readonly TimeProvider _time;
    private long? _perSecond;
    private double _saved;
    private double _tokens;
    private long _filledAt;

    /// <summary>Creates the limit.</summary>
    /// <param name="perSecond">Units per second, above zero; null for no limit.</param>
    /// <param name="time">The clock.</param>
    public RateLimit(long? perSecond, TimeProvider time)
    {
        _time = time;
        _filledAt = time.GetTimestamp();
        PerSecond = perSecond;
    }

    /// <summary>Units per second, above zero; null for no limit.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Set to zero or less.</exception>
    public long? PerSecond
    {
        get
        {
            lock (_sync)
                return _perSecond;
        }

        set => Set(value, 0);
    }

    /// <summary>Changes the limit; what it lets idle time save up is there at once.</summary>
    /// <param name="perSecond">Units per second, above zero; null for no limit.</param>
    /// <param name="saved">Units that idle time saves up at most, beyond a tenth of a second's worth.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is zero or less.</exception>
    public void Set(long? perSecond, double saved)
    {
        if (perSecond is long rate)
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rate, nameof(perSecond));
        lock (_sync)
        {
            // A debt made at the old rate is forgiven: it could take hours to pay at the new one.
            _perSecond = perSecond;
            _tokens = _saved = saved;
            _filledAt = _time.GetTimestamp();
        }
    }

    /// <summary>The most to take at once so that the rate stays even.</summary>
    /// <param name="most">Taken at once without a limit.</param>
    public long ChunkLength(long most)
    {
        lock (_sync)
            return _perSecond is long rate ? Math.Clamp(rate / ChunksPerSecond, 1, most) : most;
    }

    /// <summary>Accounts for what was taken and waits until the rate allows more.</summary>
    /// <param name="units">How much.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public ValueTask TakeAsync(long units, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            if (_perSecond is null)
                return ValueTask.CompletedTask;
            Fill();
            _tokens -= units;
            if (_tokens >= 0)
                return ValueTask.CompletedTask;
        }

        return new ValueTask(WaitAsync(cancellationToken));
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TimeSpan wait;
            lock (_sync)
            {
                Fill();
                if (_perSecond is not long rate || _tokens >= 0)
                    return;

                // A whole tick more, or a clock that stands still between ticks would make this spin.
                wait = TimeSpan.FromSeconds(-_tokens / rate) + TimeSpan.FromMilliseconds(1);
            }

            await Task.Delay(wait < LongestWait ? wait : LongestWait, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private void Fill()
    {
        var now = _time.GetTimestamp();
        if (_perSecond is long rate)
            _tokens = Math.Min(_tokens + (_time.GetElapsedTime(_filledAt, now).TotalSeconds * rate), (rate * BurstSeconds) + _saved);
        _filledAt = now;
    }
}
