namespace Godwit.Cli.Progress;

/// <summary>The rate of a copy over its last seconds, and the time left at that rate.</summary>
/// <param name="time">The clock.</param>
internal sealed class RateMeter(TimeProvider time)
{
    private const double WindowSeconds = 5;
    private readonly Queue<(long At, long Bytes)> _samples = new();
    private long _newest;

    /// <summary>Takes note of how many bytes are done in all.</summary>
    public void Note(long bytes)
    {
        var now = time.GetTimestamp();
        // A quarter of a second apart is fine enough, and keeps the queue short however small the writes are.
        if (_samples.Count > 0 && time.GetElapsedTime(_newest, now).TotalSeconds < 0.25)
            return;
        _samples.Enqueue((now, bytes));
        _newest = now;
        while (_samples.Count > 2 && time.GetElapsedTime(_samples.Peek().At, now).TotalSeconds > WindowSeconds)
            _samples.Dequeue();
    }

    /// <summary>Bytes per second; zero until there is something to tell.</summary>
    public long BytesPerSecond
    {
        get
        {
            if (_samples.Count < 2)
                return 0;
            var (first, last) = (_samples.Peek(), _samples.Last());
            var seconds = time.GetElapsedTime(first.At, last.At).TotalSeconds;
            return seconds <= 0 ? 0 : (long)((last.Bytes - first.Bytes) / seconds);
        }
    }

    /// <summary>Seconds that <paramref name="bytesLeft"/> will take, or null when that cannot be told.</summary>
    public double? SecondsFor(long bytesLeft)
    {
        var rate = BytesPerSecond;
        return rate > 0 ? (double)bytesLeft / rate : null;
    }
}
