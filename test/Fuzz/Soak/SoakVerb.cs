using System.Diagnostics;
using System.Globalization;

namespace Godwit.Fuzz.Soak;

/// <summary>`godwit-fuzz soak disk|chain [--operations N] [--seed S] [--minutes M] [--tools N] [--life SEED]`.</summary>
internal static class SoakVerb
{
    public const string Usage = """
        usage: godwit-fuzz soak disk|chain [--operations N] [--seed S] [--minutes M] [--tools N] [--life S]
               --operations N  about so many in all, 1000000 by default     --minutes M  not longer than that
               --tools N       disk: shows one state of N to qemu-img and 7-Zip, 20 by default; 0 for none
               --life S        only the life with that seed, as a failure names it
        """;

    private const int OperationsPerLife = 1000;

    public static async ValueTask<int> RunAsync(string[] arguments)
    {
        if (arguments is not ["disk" or "chain", .. var rest] || Parse(rest) is not Dictionary<string, double> values)
        {
            await Console.Error.WriteLineAsync(Usage);
            return 64;
        }

        Say($"seed {values["--seed"]}");
        return await (arguments[0] == "disk" ? RunDisksAsync(values) : RunChainsAsync(values));
    }

    private static Dictionary<string, double>? Parse(string[] arguments)
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
                return null;
            }

            values[arguments[index]] = value;
        }

        return values;
    }

    private static async ValueTask<int> RunDisksAsync(Dictionary<string, double> values)
    {
        using var tools = values["--tools"] > 0 ? new ToolOracle((int)values["--tools"]) : null;
        var counts = new SoakCounts();
        if (!await TryAsync(values, life => LiveAsync(life, OperationsPerLife, counts, tools), () => counts.Operations, counts.ToString))
            return 1;
        return counts.QemuRefused + counts.SevenZipRefused == 0 ? 0 : 1;
    }

    private static async ValueTask<int> RunChainsAsync(Dictionary<string, double> values)
    {
        var counts = new ChainCounts();
        return await TryAsync(values, life => LiveInChainAsync(life, OperationsPerLife, counts), () => counts.Operations, counts.ToString) ? 0 : 1;
    }

    private static async ValueTask<bool> TryAsync(
        Dictionary<string, double> values, Func<int, ValueTask> liveAsync, Func<long> operations, Func<string> counts)
    {
        try
        {
            if (values["--life"] >= 0)
                await liveAsync((int)values["--life"]);
            else
                await RunAsync((int)values["--seed"], (long)values["--operations"], TimeSpan.FromMinutes(values["--minutes"]), liveAsync, operations, counts);
        }
        catch (SoakFailure failure)
        {
            Say($"failed after {counts()}");
            await Console.Error.WriteLineAsync($"soak: {failure}");
            return false;
        }

        Say(counts());
        return true;
    }

    /// <summary>Lives one after the other, every format in turn.</summary>
    private static async ValueTask RunAsync(
        int seed, long limit, TimeSpan time, Func<int, ValueTask> liveAsync, Func<long> operations, Func<string> counts)
    {
        var watch = Stopwatch.StartNew();
        var nextReport = TimeSpan.FromMinutes(1);
        for (var life = 0; operations() < limit && watch.Elapsed < time; life++)
        {
            await liveAsync(unchecked((seed * 100_003) + life) & int.MaxValue);
            if (watch.Elapsed > nextReport)
            {
                Say($"{operations() / watch.Elapsed.TotalSeconds:0}/s; {counts()}");
                nextReport += TimeSpan.FromMinutes(1);
            }
        }
    }

    // The format follows from the seed, so that the seed of a life is all that is needed to live it again.
    internal static ValueTask LiveAsync(int seed, int operations, SoakCounts counts, ToolOracle? tools) =>
        new SoakLife(SoakFormats.All[seed % SoakFormats.All.Count], seed, counts, tools).RunAsync(operations);

    /// <summary>The life of one chain; its seed tells its format.</summary>
    internal static async ValueTask LiveInChainAsync(int seed, int operations, ChainCounts counts)
    {
        using var life = new ChainLife(ChainFormat.All[seed % ChainFormat.All.Count], seed, counts);
        await life.RunAsync(operations);
    }

    private static void Say(string line) => Console.WriteLine($"soak: {line}");
}
