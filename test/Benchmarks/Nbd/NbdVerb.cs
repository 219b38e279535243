using System.Globalization;
using System.Text.Json;

namespace Godwit.Benchmarks.Nbd;

/// <summary>`godwit-bench nbd [--report FILE] [--rounds N] [--seconds N] [--small] [--only PART,…] [--folder DIR] [--worker PATH]`.</summary>
internal static class NbdVerb
{
    private const string Known =
        "--report FILE, --rounds N, --seconds N (per measurement), --small (only whether it works), --only warm,cold,start,sparse, "
        + "--folder DIR (for everything; else memory for the warm loads and the temporary folder for cold and sparse), --worker PATH";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task<int> RunAsync(string[] arguments)
    {
        string? report = null;
        var size = new NbdRunSize();
        var memory = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        var disk = Path.GetTempPath();
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        HashSet<string> parts = [.. NbdBenchmark.Parts];
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--report" when i + 1 < arguments.Length: report = arguments[++i]; break;
                case "--folder" when i + 1 < arguments.Length: memory = disk = Path.GetFullPath(arguments[++i]); break;
                case "--worker" when i + 1 < arguments.Length: worker = arguments[++i]; break;
                case "--small": size = NbdRunSize.Small; break;
                case "--rounds" when i + 1 < arguments.Length
                    && int.TryParse(arguments[i + 1], CultureInfo.InvariantCulture, out var rounds) && rounds > 0:
                    size = size with { Rounds = rounds }; i++; break;
                case "--seconds" when i + 1 < arguments.Length
                    && double.TryParse(arguments[i + 1], CultureInfo.InvariantCulture, out var seconds) && seconds > 0:
                    size = size with { Seconds = seconds }; i++; break;
                case "--only" when i + 1 < arguments.Length && arguments[i + 1].Split(',') is var only && only.All(NbdBenchmark.Parts.Contains):
                    parts = [.. only]; i++; break;
                default:
                    await Console.Error.WriteLineAsync($"nbd: unknown or unfinished option '{arguments[i]}'; known: {Known}");
                    return 64;
            }
        }

        return await RunAsync(new NbdBenchmark(Path.GetFullPath(worker), memory, disk, size, parts), report);
    }

    private static async Task<int> RunAsync(NbdBenchmark benchmark, string? report)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(45));
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var result = await benchmark.RunAsync(limit.Token);
            NbdText.Print(result);
            if (report is not null)
                await File.WriteAllBytesAsync(report, JsonSerializer.SerializeToUtf8Bytes(result, Json), CancellationToken.None);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("nbd: interrupted, or not done within 45 minutes; everything it started is ended");
            return 2;
        }
    }
}
