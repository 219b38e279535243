using System.Diagnostics;
using System.Globalization;

namespace Godwit.Fuzz.Soak;

/// <summary>`godwit-fuzz soak disk [--operations N] [--seed S] [--minutes M] [--tools N] [--life SEED]`.</summary>
internal static class SoakVerb
{
    public const string Usage = """
        usage: godwit-fuzz soak disk [--operations N] [--seed S] [--minutes M] [--tools N]
               --operations N  about so many in all, 1000000 by default     --minutes M  not longer than that
               --tools N       shows one state of N to qemu-img and 7-Zip, 20 by default; 0 for none
               --life S        only the life with that seed, as a failure names it
        """;

    private const int OperationsPerLife = 1000;

    public static async ValueTask<int> RunAsync(string[] arguments)
    {
        var values = new Dictionary<string, double>
        {
            ["--operations"] = 1_000_000,
            ["--seed"] = Environment.TickCount & 0xFFFFFF,
            ["--minutes"] = 24 * 60,
            ["--tools"] = 20,
            ["--life"] = -1,
        };
        for (var index = 0; index < arguments.Length; index += 2)
        {
            if (!values.ContainsKey(arguments[index]) || index + 1 == arguments.Length
                || !double.TryParse(arguments[index + 1], CultureInfo.InvariantCulture, out var value))
            {
                await Console.Error.WriteLineAsync(Usage);
                return 64;
            }

            values[arguments[index]] = value;
        }

        Say($"seed {values["--seed"]}");
        using var tools = values["--tools"] > 0 ? new ToolOracle((int)values["--tools"]) : null;
        var counts = new SoakCounts();
        try
        {
            await (values["--life"] >= 0
                ? LiveAsync((int)values["--life"], OperationsPerLife, counts, tools)
                : RunAsync((int)values["--seed"], (long)values["--operations"], TimeSpan.FromMinutes(values["--minutes"]), counts, tools, Say));
        }
        catch (SoakFailure failure)
        {
            Say($"failed after {counts}");
            await Console.Error.WriteLineAsync($"soak: {failure}");
            return 1;
        }

        Say(counts.ToString());
        return counts.QemuRefused + counts.SevenZipRefused == 0 ? 0 : 1;
    }

    /// <summary>Lives one after the other, every format in turn.</summary>
    public static async ValueTask RunAsync(
        int seed, long operations, TimeSpan limit, SoakCounts counts, ToolOracle? tools, Action<string> report)
    {
        var watch = Stopwatch.StartNew();
        var nextReport = TimeSpan.FromMinutes(1);
        for (var life = 0; counts.Operations < operations && watch.Elapsed < limit; life++)
        {
            await LiveAsync(unchecked((seed * 100_003) + life) & int.MaxValue, OperationsPerLife, counts, tools);
            if (watch.Elapsed > nextReport)
            {
                report($"{counts.Operations / watch.Elapsed.TotalSeconds:0}/s; {counts}");
                nextReport += TimeSpan.FromMinutes(1);
            }
        }
    }

    // The format follows from the seed, so that the seed of a life is all that is needed to live it again.
    private static ValueTask LiveAsync(int seed, int operations, SoakCounts counts, ToolOracle? tools) =>
        new SoakLife(SoakFormat.All[seed % SoakFormat.All.Count], seed, counts, tools).RunAsync(operations);

    private static void Say(string line) => Console.WriteLine($"soak: {line}");
}
