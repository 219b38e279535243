namespace Godwit.Cli;

/// <summary>What ^C and SIGTERM mean: the first asks to stop tidily, the second to let go at once.</summary>
/// <remarks>May be signalled from any thread. Wrappers such as timeout(1) signal the process and then its whole group: two
/// signals closer together than a person types are one.</remarks>
/// <param name="time">The clock.</param>
internal sealed class Interrupts(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Echo = TimeSpan.FromMilliseconds(100);
    private readonly CancellationTokenSource _first = new();
    private readonly CancellationTokenSource _second = new();
    private readonly Lock _gate = new();
    private int _count;
    private long _last;

    /// <summary>Cancelled by the first ^C.</summary>
    public CancellationToken First => _first.Token;

    /// <summary>Cancelled by the second ^C.</summary>
    public CancellationToken Second => _second.Token;

    /// <summary>Takes note of a ^C.</summary>
    /// <returns>False when the system's own reaction is due: the third one ends the process whatever it does.</returns>
    public bool Signal()
    {
        int count;
        lock (_gate)
        {
            if (_count > 0 && time.GetElapsedTime(_last) < Echo)
                return true;
            _last = time.GetTimestamp();
            count = ++_count;
        }

        switch (count)
        {
            case 1:
                _first.Cancel();
                return true;
            case 2:
                _second.Cancel();
                return true;
            default:
                return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }
}
