using System.Globalization;
using System.Text.Json;

namespace Godwit.Benchmarks.Nbd;

/// <summary>`godwit-bench nbd [--report FILE] [--seconds N] [--folder DIR] [--worker PATH]`.</summary>
internal static class NbdVerb
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task<int> RunAsync(string[] arguments)
    {
        string? report = null;
        var seconds = 0.7;
        var folder = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--report" when i + 1 < arguments.Length: report = arguments[++i]; break;
                case "--folder" when i + 1 < arguments.Length: folder = arguments[++i]; break;
                case "--worker" when i + 1 < arguments.Length: worker = arguments[++i]; break;
                case "--seconds" when i + 1 < arguments.Length
                    && double.TryParse(arguments[i + 1], CultureInfo.InvariantCulture, out seconds) && seconds > 0:
                    i++; break;
                default:
                    await Console.Error.WriteLineAsync(
                        $"nbd: unknown or unfinished option '{arguments[i]}'; known: --report FILE, --seconds N (per measurement), --folder DIR, --worker PATH");
                    return 64;
            }
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(15));
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var result = await new NbdBenchmark(Path.GetFullPath(worker), folder, seconds).RunAsync(limit.Token);
            NbdText.Print(result);
            if (report is not null)
                await File.WriteAllBytesAsync(report, JsonSerializer.SerializeToUtf8Bytes(result, Json), CancellationToken.None);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("nbd: interrupted, or not done within fifteen minutes; everything it started is ended");
            return 2;
        }
    }
}
