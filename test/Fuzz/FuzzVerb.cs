using System.Globalization;
using Godwit.Fuzz.Engine;

namespace Godwit.Fuzz;

/// <summary>Runs targets one after the other and prints what each came to.</summary>
internal static class FuzzVerb
{
    /// <summary>Fuzzes; the exit code is 1 when anything was found.</summary>
    public static async ValueTask<int> RunAsync(IReadOnlyList<FuzzTarget> targets, FuzzOptions options)
    {
        Say(CoverageMap.IsInstrumented
            ? $"seed {options.Seed}, guided by branches"
            : $"seed {options.Seed}; the storage library is not instrumented, so only errors guide the search");
        var found = 0;
        foreach (var target in targets)
        {
            var folder = options.Corpus is null ? null : Path.Combine(options.Corpus, target.Name);
            var loop = new FuzzLoop(target, options.Seed, new FindingFolder(options.Findings, target.Name));
            var result = await loop.RunAsync(Load(folder), options.Executions, options.Limit, Say);
            Save(folder, loop.Corpus);
            Print(result);
            found += result.Findings.Count;
        }

        return found == 0 ? 0 : 1;
    }

    /// <summary>Runs one saved input and shows what comes of it.</summary>
    public static async ValueTask<int> ReplayAsync(FuzzTarget target, string file)
    {
        var input = FuzzInput.Parse(await File.ReadAllTextAsync(file));
        try
        {
            await target.RunAsync(input, new Signals(new CoverageMap()));
            Console.WriteLine("nothing found");
            return 0;
        }
        catch (FuzzFinding finding)
        {
            Console.WriteLine(finding);
            return 1;
        }
    }

    private static List<FuzzInput> Load(string? folder) => folder is null || !Directory.Exists(folder)
        ? []
        : [.. Directory.EnumerateFiles(folder, "*.txt").Order(StringComparer.Ordinal).Select(file => FuzzInput.Parse(File.ReadAllText(file)))];

    private static void Save(string? folder, IReadOnlyList<FuzzInput> corpus)
    {
        if (folder is null)
            return;
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        for (var index = 0; index < corpus.Count; index++)
            File.WriteAllText(Path.Combine(folder, $"{index:00000}.txt"), corpus[index].ToString());
    }

    private static void Print(FuzzResult result)
    {
        Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Target}: {result.Executions} executions in {result.Elapsed.TotalSeconds:0.0} s, {result.Edges} edges, {result.Corpus} inputs, slowest {result.Slowest.TotalMilliseconds:0} ms, {result.Findings.Count} findings"));
        foreach (var finding in result.Findings)
            Say($"  found: {finding}");
    }

    private static void Say(string line) => Console.WriteLine($"fuzz: {line}");
}
