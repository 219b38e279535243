namespace Godwit.Storage.Mirror;

/// <summary>Keeps a background copy below a rate: a token bucket that may go into debt by one chunk.</summary>
/// <remarks>Within 5 % over any five seconds: the bucket holds a tenth of a second at most, and
/// <see cref="ChunkLength"/> keeps each debt to a twentieth. May be changed at any time from any thread; takes effect within
/// a quarter of a second. Who takes without a limit never waits.</remarks>
public sealed class BandwidthLimit
{
    private const double BurstSeconds = 0.1;
    private const int ChunksPerSecond = 20;
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(250);

    private readonly Lock _sync = new();
    private readonly TimeProvider _time;
    private long? _bytesPerSecond;
    private double _tokens;
    private long _filledAt;

    /// <summary>Creates the limit.</summary>
    /// <param name="bytesPerSecond">Bytes per second, above zero; null for no limit.</param>
    /// <param name="time">The clock.</param>
    public BandwidthLimit(long? bytesPerSecond, TimeProvider time)
    {
        _time = time;
        _filledAt = time.GetTimestamp();
        BytesPerSecond = bytesPerSecond;
    }

    /// <summary>Bytes per second, above zero; null for no limit.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Set to zero or less.</exception>
    public long? BytesPerSecond
    {
        get
        {
            lock (_sync)
                return _bytesPerSecond;
        }

        set
        {
            if (value is long rate)
                ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rate, nameof(value));
            lock (_sync)
            {
                // A debt made at the old rate is forgiven: it could take hours to pay at the new one.
                _bytesPerSecond = value;
                _tokens = 0;
                _filledAt = _time.GetTimestamp();
            }
        }
    }

    /// <summary>The most bytes to take at once so that the rate stays even.</summary>
    /// <param name="most">Bytes taken at once without a limit.</param>
    public long ChunkLength(long most)
    {
        lock (_sync)
            return _bytesPerSecond is long rate ? Math.Clamp(rate / ChunksPerSecond, 1, most) : most;
    }

    /// <summary>Accounts for bytes just moved and waits until the rate allows more.</summary>
    /// <param name="bytes">Bytes moved.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public ValueTask TakeAsync(long bytes, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            if (_bytesPerSecond is null)
                return ValueTask.CompletedTask;
            Fill();
            _tokens -= bytes;
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
                if (_bytesPerSecond is not long rate || _tokens >= 0)
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
        if (_bytesPerSecond is long rate)
            _tokens = Math.Min(_tokens + (_time.GetElapsedTime(_filledAt, now).TotalSeconds * rate), rate * BurstSeconds);
        _filledAt = now;
    }
}
