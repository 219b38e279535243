namespace Godwit.Fuzz.Engine;

/// <summary>Ends the program when one execution does not come back, and leaves its input behind.</summary>
internal sealed class Watchdog : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    // Whoever waits for nothing uses no processor time. At the lowest priority on a busy machine an execution may take long, though.
    private static readonly TimeSpan WaitLimit = TimeSpan.FromMinutes(10);
    private readonly FindingFolder _findings;
    private readonly Timer _timer;
    private FuzzInput? _input;
    private long _started;
    private long _used;
    private int _ended;

    public Watchdog(FindingFolder findings)
    {
        _findings = findings;
        _timer = new Timer(_ => Look(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>An execution begins.</summary>
    public void Start(FuzzInput input)
    {
        Volatile.Write(ref _started, Environment.TickCount64);
        Volatile.Write(ref _used, Environment.CpuUsage.TotalTime.Ticks);
        Volatile.Write(ref _input, input);
    }

    /// <summary>It has ended.</summary>
    public void Stop() => Volatile.Write(ref _input, null);

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (Volatile.Read(ref _input) is not FuzzInput input)
            return;
        var used = Environment.CpuUsage.TotalTime.Ticks - Volatile.Read(ref _used);
        var waited = Environment.TickCount64 - Volatile.Read(ref _started);
        if ((used < Limit.Ticks && waited < WaitLimit.TotalMilliseconds) || Interlocked.Exchange(ref _ended, 1) != 0)
            return;
        var path = _findings.Save(input, $"did not end within {Limit.TotalSeconds} s of processor time");
        Console.Error.WriteLine($"fuzz: an execution hangs; its input: {path}");
        Environment.Exit(3);
    }
}
