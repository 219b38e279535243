namespace Godwit.Storage.Limits;

/// <summary>Watches whether a disk gets the requests per second it was promised.</summary>
/// <remarks>Looked at in windows of five seconds. A disk gets too few when it did fewer than promised though somebody was waiting for it nearly all the
/// time: then its speed, or a limit, held its user up. One that did few because few were wanted is well. Any thread may use it at any time.</remarks>
/// <param name="time">The clock.</param>
internal sealed class MinimumWatch(TimeProvider time)
{
    private const double Busy = 0.9;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);
    private readonly Lock _sync = new();
    private long? _minimum;
    private long _start = time.GetTimestamp();
    private long _busySince;
    private TimeSpan _busy;
    private long _units;
    private int _underWay;
    private Shortfall? _shortfall;

    /// <summary>How the last whole window was; null when the disk got what was promised, or wanted less.</summary>
    public Shortfall? Shortfall
    {
        get
        {
            lock (_sync)
            {
                Roll(time.GetTimestamp());
                return _shortfall;
            }
        }
    }

    /// <summary>Changes the promise; the window begins anew.</summary>
    /// <param name="minimum">Requests per second; null for none.</param>
    public void Set(long? minimum)
    {
        lock (_sync)
        {
            _minimum = minimum;
            _shortfall = null;
            Begin(time.GetTimestamp());
        }
    }

    /// <summary>A request has come.</summary>
    public void Enter()
    {
        lock (_sync)
        {
            var now = time.GetTimestamp();
            Roll(now);
            if (_underWay++ == 0)
                _busySince = now;
        }
    }

    /// <summary>A request that came has ended.</summary>
    /// <param name="units">Requests it counts for; zero when it failed.</param>
    public void Leave(long units)
    {
        lock (_sync)
        {
            var now = time.GetTimestamp();
            Roll(now);
            _units += units;
            if (--_underWay == 0)
                _busy += time.GetElapsedTime(_busySince, now);
        }
    }

    private void Roll(long now)
    {
        var length = time.GetElapsedTime(_start, now);
        if (length < Window)
            return;
        if (_underWay > 0)
            _busy += time.GetElapsedTime(_busySince, now);
        var got = _units / length.TotalSeconds;
        _shortfall = _minimum is long minimum && got < minimum && _busy >= length * Busy
            ? new Shortfall((long)got, _shortfall?.Since ?? time.GetUtcNow() - length)
            : null;
        Begin(now);
    }

    private void Begin(long now)
    {
        _start = _busySince = now;
        _busy = TimeSpan.Zero;
        _units = 0;
    }
}
