namespace Godwit.Qemu.Processes;

/// <summary>When to let a guest go on that a failed disk has paused: soon at first, then less and less often.</summary>
internal sealed class DiskRetry(TimeProvider time)
{
    private static readonly int[] Milliseconds = [100, 200, 500, 1000, 2000, 5000];
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(10);

    private int _tries;
    private long? _lastTry;

    /// <summary>The pause before the next try. Starts anew when the last try was followed by a calm time.</summary>
    public TimeSpan NextPause()
    {
        if (_lastTry is long last && time.GetElapsedTime(last) > Calm + TimeSpan.FromMilliseconds(Milliseconds[^1]))
            _tries = 0;
        return TimeSpan.FromMilliseconds(Milliseconds[Math.Min(_tries, Milliseconds.Length - 1)]);
    }

    /// <summary>Notes that the guest was let go on.</summary>
    public void Tried()
    {
        _tries++;
        _lastTry = time.GetTimestamp();
    }
}
