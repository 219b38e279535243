using System.Globalization;
using System.Text.Json;

namespace Godwit.Benchmarks.Mirror;

/// <summary>`godwit-bench mirror [--report FILE] [--rounds N] [--small] [--switches N] [--size MIB] [--folder DIR] [--worker PATH]`.</summary>
internal static class MirrorVerb
{
    private const string Known =
        "--report FILE, --rounds N, --small (only whether it works), --switches N, --size MIB (of the mirrored disk), "
        + "--folder DIR (on the disk to measure), --worker PATH";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task<int> RunAsync(string[] arguments)
    {
        string? report = null;
        var size = new MirrorRunSize();
        var folder = Path.GetTempPath();
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            _ = int.TryParse(value, CultureInfo.InvariantCulture, out var count);
            switch (arguments[i])
            {
                case "--report" when value != "": report = value; i++; break;
                case "--folder" when value != "": folder = Path.GetFullPath(value); i++; break;
                case "--worker" when value != "": worker = value; i++; break;
                case "--small": size = MirrorRunSize.Small; break;
                case "--rounds" when count > 0: size = size with { Rounds = count }; i++; break;
                case "--switches" when count > 0: size = size with { Switches = count }; i++; break;
                case "--size" when count > 0: size = size with { Disk = count }; i++; break;
                default:
                    await Console.Error.WriteLineAsync($"mirror: unknown or unfinished option '{arguments[i]}'; known: {Known}");
                    return 64;
            }
        }

        return await RunAsync(new MirrorBenchmark(Path.GetFullPath(worker), folder, size), report);
    }

    private static async Task<int> RunAsync(MirrorBenchmark benchmark, string? report)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(30));
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var result = await benchmark.RunAsync(limit.Token);
            MirrorText.Print(result);
            if (report is not null)
                await File.WriteAllBytesAsync(report, JsonSerializer.SerializeToUtf8Bytes(result, Json), CancellationToken.None);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("mirror: interrupted, or not done within half an hour; everything it started is ended");
            return 2;
        }
    }
}
