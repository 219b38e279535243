using System.Globalization;

namespace Godwit.Benchmarks.Hosts;

/// <summary>`godwit-bench host [--vms N] [--running N] [--memory MIB] [--rounds N] [--worker PATH]`: many VMs on one host; saving and restoring beside
/// QEMU driven by hand.</summary>
internal static class HostVerb
{
    private const string Known = "--vms N (defined), --running N, --memory MIB (that the saved guest has filled), --rounds N (of saving), --worker PATH";

    public static async Task<int> RunAsync(string[] arguments)
    {
        var (vms, running, memory, rounds) = (200, 20, 1024, 3);
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            _ = int.TryParse(value, CultureInfo.InvariantCulture, out var count);
            switch (arguments[i])
            {
                case "--worker" when value != "": worker = value; i++; break;
                case "--vms" when count > 0: vms = count; i++; break;
                case "--running" when count > 0: running = count; i++; break;
                case "--memory" when count > 0: memory = count; i++; break;
                case "--rounds" when count > 0: rounds = count; i++; break;
                default:
                    await Console.Error.WriteLineAsync($"host: unknown or unfinished option '{arguments[i]}'; known: {Known}");
                    return 64;
            }
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(30));
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var programs = Path.GetDirectoryName(Path.GetFullPath(worker))!;
            await ScaleRun.RunAsync(programs, vms, running, limit.Token);
            await SaveRun.RunAsync(programs, memory, rounds, limit.Token);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("host: interrupted; everything it started is ended");
            return 2;
        }
    }
}
