using System.Diagnostics;

namespace Godwit.Fuzz.Engine;

/// <summary>What one run of a target came to.</summary>
/// <param name="Target">Its name.</param>
/// <param name="Executions">Inputs run.</param>
/// <param name="Elapsed">How long that took.</param>
/// <param name="Edges">Places of the coverage map reached.</param>
/// <param name="Corpus">Inputs kept because they showed something new.</param>
/// <param name="Slowest">The longest execution.</param>
/// <param name="Findings">Messages of distinct findings.</param>
internal sealed record FuzzResult(
    string Target, long Executions, TimeSpan Elapsed, int Edges, int Corpus, TimeSpan Slowest, IReadOnlyList<string> Findings);

/// <summary>Runs one target: mutates what has shown something new, keeps what shows something new again.</summary>
internal sealed class FuzzLoop(FuzzTarget target, int seed, FindingFolder findings)
{
    private static readonly TimeSpan SlowLimit = TimeSpan.FromSeconds(2);
    private readonly CoverageMap _map = new();
    private readonly List<string> _messages = [];
    private readonly FuzzCorpus _corpus = new(new Random(seed));
    private TimeSpan _slowest;
    private RunningInput? _running;

    /// <summary>The same seed, corpus and build give the same run: how long an input takes is not looked at.</summary>
    public bool IsRepeatable { get; init; }

    /// <summary>Inputs that showed something new, in the order they were found.</summary>
    public IReadOnlyList<FuzzInput> Corpus => _corpus.Inputs;

    /// <summary>Runs until one of the limits is reached.</summary>
    /// <param name="known">Inputs of earlier runs; run first.</param>
    /// <param name="executions">How many inputs.</param>
    /// <param name="limit">How long.</param>
    /// <param name="report">Gets a line now and then.</param>
    public async ValueTask<FuzzResult> RunAsync(IEnumerable<FuzzInput> known, long executions, TimeSpan limit, Action<string> report)
    {
        var watch = Stopwatch.StartNew();
        var nextReport = TimeSpan.FromSeconds(30);
        using var watchdog = new Watchdog(findings);
        using var running = _running = RunningInput.Open(findings, report);
        var mutator = new Mutator(target, new Random(~seed));
        foreach (var image in await WarmAsync())
            await RunOneAsync(image, watchdog, always: true);
        foreach (var input in known)
            await RunOneAsync(input, watchdog, always: false);
        var done = 0L;
        for (; done < executions && watch.Elapsed < limit; done++)
        {
            await RunOneAsync(await mutator.MutateAsync(_corpus.Next(), _corpus.Any()), watchdog, always: false);
            if (watch.Elapsed > nextReport)
            {
                report($"{target.Name}: {done} executions, {done / watch.Elapsed.TotalSeconds:0}/s, {_map.Edges} edges, {_corpus.Inputs.Count} inputs, {_messages.Count} findings");
                nextReport += TimeSpan.FromSeconds(30);
            }
        }

        running.Remove();
        return new FuzzResult(target.Name, done, watch.Elapsed, _map.Edges, _corpus.Inputs.Count, _slowest, _messages);
    }

    /// <summary>The images unchanged, each run a few times: what compiling the code takes is not their cost.</summary>
    private async ValueTask<IEnumerable<FuzzInput>> WarmAsync()
    {
        var images = Enumerable.Range(0, target.Images.Count).Select(image => new FuzzInput(image, Seals.Checksums | Seals.Repeats, [])).ToList();
        for (var round = 0; round < 4; round++)
        {
            foreach (var image in images)
                await TryAsync(image);
        }

        return images;
    }

    private async ValueTask RunOneAsync(FuzzInput input, Watchdog watchdog, bool always)
    {
        CoverageMap.Clear();
        watchdog.Start(input);
        var watch = Stopwatch.StartNew();
        var finding = await TryAsync(input);
        var cost = watch.Elapsed;
        watchdog.Stop();
        if (_map.Learn() || always)
            _corpus.Add(input, IsRepeatable ? TimeSpan.Zero : cost);
        if (finding is null || !findings.IsNew(finding))
            return;
        var smallest = await ShrinkAsync(input, finding.Shape);
        var path = findings.Save(smallest, finding.ToString());
        _messages.Add($"{finding.Message} (input: {path})");
    }

    private async ValueTask<FuzzFinding?> TryAsync(FuzzInput input)
    {
        _running?.Write(input);
        var watch = Stopwatch.StartNew();
        try
        {
            await target.RunAsync(input, new Signals(_map));
        }
        catch (FuzzFinding finding)
        {
            return finding;
        }

        _slowest = watch.Elapsed > _slowest ? watch.Elapsed : _slowest;
        return watch.Elapsed > SlowLimit && await IsSlowAgainAsync(input)
            ? new FuzzFinding($"takes longer than {SlowLimit.TotalSeconds} s, of processor time too")
            : null;
    }

    /// <summary>The machine may have been busy with something else, so now it is our own processor time that counts.</summary>
    private async ValueTask<bool> IsSlowAgainAsync(FuzzInput input)
    {
        var before = Environment.CpuUsage.TotalTime;
        await target.RunAsync(input, new Signals(_map));
        return Environment.CpuUsage.TotalTime - before > SlowLimit;
    }

    /// <summary>Leaves out changes as long as the finding stays the same.</summary>
    private async ValueTask<FuzzInput> ShrinkAsync(FuzzInput input, string shape)
    {
        for (var index = input.Steps.Count - 1; index >= 0; index--)
        {
            var smaller = input with { Steps = [.. input.Steps.Where((_, i) => i != index)] };
            if ((await TryAsync(smaller))?.Shape == shape)
                input = smaller;
        }

        return input;
    }
}
