namespace Godwit.Cli;

/// <summary>What ^C and SIGTERM mean: the first asks to stop tidily, the second to let go at once.</summary>
/// <remarks>May be signalled from any thread.</remarks>
internal sealed class Interrupts : IDisposable
{
    private readonly CancellationTokenSource _first = new();
    private readonly CancellationTokenSource _second = new();
    private int _count;

    /// <summary>Cancelled by the first ^C.</summary>
    public CancellationToken First => _first.Token;

    /// <summary>Cancelled by the second ^C.</summary>
    public CancellationToken Second => _second.Token;

    /// <summary>Takes note of a ^C.</summary>
    /// <returns>False when the system's own reaction is due: the third one ends the process whatever it does.</returns>
    public bool Signal()
    {
        switch (Interlocked.Increment(ref _count))
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
