namespace Godwit.Fuzz.Nbd;

/// <summary>How a device behaves in one session: what it takes from pipes, what it fails, what it takes its time for. Thread-safe.</summary>
internal sealed class DeviceTemper
{
    private readonly Lock _lock = new();
    private readonly Random _random;
    private readonly int _refusesPipesOneIn;
    private readonly int _failsOneIn;
    private readonly int _holdsOneIn;

    private DeviceTemper(Random random, int refusesPipesOneIn, int failsOneIn, int holdsOneIn)
    {
        (_random, _refusesPipesOneIn, _failsOneIn, _holdsOneIn) = (random, refusesPipesOneIn, failsOneIn, holdsOneIn);
    }

    /// <summary>Does everything at once, and nothing through pipes.</summary>
    public static DeviceTemper Plain { get; } = new(new Random(0), 1, 0, 0);

    /// <summary>Does everything at once, and through pipes whenever it may.</summary>
    public static DeviceTemper Willing { get; } = new(new Random(0), 0, 0, 0);

    /// <summary>Everything is done before the next request is looked at.</summary>
    public bool IsPrompt => _holdsOneIn == 0;

    /// <summary>The behaviour that follows from a number: half of all devices take everything from pipes, a quarter fails something,
    /// a fifth is slow at times.</summary>
    public static DeviceTemper Of(int seed)
    {
        var random = new Random(seed);
        int[] refusals = [0, 0, 0, 2, 3, 8];
        return new DeviceTemper(
            random, refusals[random.Next(refusals.Length)], random.Next(4) == 0 ? random.Next(2, 7) : 0, random.Next(5) == 0 ? random.Next(1, 4) : 0);
    }

    /// <summary>Says no to a pipe.</summary>
    public bool RefusesPipe() => OneIn(_refusesPipesOneIn);

    /// <summary>Fails in the middle of what it does.</summary>
    public bool Fails() => OneIn(_failsOneIn);

    /// <summary>Completes later.</summary>
    public bool Holds() => OneIn(_holdsOneIn);

    /// <summary>How long: mostly no longer than another thread takes to get to it.</summary>
    public TimeSpan HoldTime()
    {
        lock (_lock)
            return _random.Next(8) == 0 ? TimeSpan.FromMilliseconds(2) : TimeSpan.Zero;
    }

    private bool OneIn(int count)
    {
        if (count == 0)
            return false;
        lock (_lock)
            return _random.Next(count) == 0;
    }
}
