using System.Globalization;
using System.Text.Json;

namespace Godwit.Benchmarks.Disk;

/// <summary>`godwit-bench disk [--report FILE] [--rounds N] [--small] [--only PART,…] [--full-size MIB] [--folder DIR] [--worker PATH]`.</summary>
internal static class DiskVerb
{
    private const string Known =
        "--report FILE, --rounds N, --small (tiny files: only whether it works), --only sparse,full,blocks,open, --full-size MIB, "
        + "--folder DIR (on the file system to measure), --worker PATH (godwit is beside it)";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task<int> RunAsync(string[] arguments)
    {
        string? report = null;
        var folder = Path.GetTempPath();
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        var size = new DiskRunSize();
        HashSet<string> parts = [.. DiskBenchmark.Parts];
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--report" when i + 1 < arguments.Length: report = arguments[++i]; break;
                case "--folder" when i + 1 < arguments.Length: folder = Path.GetFullPath(arguments[++i]); break;
                case "--worker" when i + 1 < arguments.Length: worker = arguments[++i]; break;
                case "--small": size = DiskRunSize.Small; break;
                case "--rounds" when i + 1 < arguments.Length && TryCount(arguments[i + 1], out var rounds): size = size with { Rounds = rounds }; i++; break;
                case "--full-size" when i + 1 < arguments.Length && TryCount(arguments[i + 1], out var full): size = size with { FullDisk = full }; i++; break;
                case "--only" when i + 1 < arguments.Length && arguments[i + 1].Split(',') is var only && only.All(DiskBenchmark.Parts.Contains):
                    parts = [.. only]; i++; break;
                default:
                    await Console.Error.WriteLineAsync($"disk: unknown or unfinished option '{arguments[i]}'; known: {Known}");
                    return 64;
            }
        }

        var godwit = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(worker))!, "godwit");
        return await RunAsync(new DiskBenchmark(godwit, folder, size, parts), report);
    }

    private static async Task<int> RunAsync(DiskBenchmark benchmark, string? report)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(60));
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var result = await benchmark.RunAsync(limit.Token);
            DiskText.Print(result);
            if (report is not null)
                await File.WriteAllBytesAsync(report, JsonSerializer.SerializeToUtf8Bytes(result, Json), CancellationToken.None);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("disk: interrupted, or not done within an hour; everything it started is ended");
            return 2;
        }
    }

    private static bool TryCount(string text, out int count) => int.TryParse(text, CultureInfo.InvariantCulture, out count) && count > 0;
}
