namespace Godwit.Fuzz.Engine;

/// <summary>Inputs that showed something new, and which of them the next one is made from.</summary>
/// <remarks>
/// An input that says "64 TiB" is walked block by block and takes a hundred times as long as another; its children mostly do too. Left
/// alone they crowd out everything else, so an input is taken the less often the longer it took.
/// </remarks>
internal sealed class FuzzCorpus(Random random)
{
    private const int Attempts = 16;
    private readonly List<FuzzInput> _inputs = [];
    private readonly List<TimeSpan> _costs = [];
    private TimeSpan _usual = TimeSpan.FromMilliseconds(1);

    /// <summary>In the order they were found.</summary>
    public IReadOnlyList<FuzzInput> Inputs => _inputs;

    /// <summary>Keeps an input.</summary>
    /// <param name="input">What showed something new.</param>
    /// <param name="cost">How long it took.</param>
    public void Add(FuzzInput input, TimeSpan cost)
    {
        _inputs.Add(input);
        _costs.Add(cost);

        // A middle one would have to be looked for; the mean of roots leans to the many quick ones well enough.
        var roots = _costs.Sum(each => Math.Sqrt(each.TotalMilliseconds)) / _costs.Count;
        _usual = TimeSpan.FromMilliseconds(roots * roots);
    }

    /// <summary>One to change. The newest have had the fewest children: half of the time one of the last quarter.</summary>
    public FuzzInput Next()
    {
        for (var attempt = 1; ; attempt++)
        {
            var oldest = random.Next(2) == 0 ? 0 : _inputs.Count * 3 / 4;
            var index = random.Next(oldest, _inputs.Count);
            if (attempt == Attempts || random.NextDouble() * _costs[index] <= _usual)
                return _inputs[index];
        }
    }

    /// <summary>Any of them, to take changes from.</summary>
    public FuzzInput Any() => _inputs[random.Next(_inputs.Count)];
}
