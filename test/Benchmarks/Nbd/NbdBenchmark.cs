using Godwit.Testing;

namespace Godwit.Benchmarks.Nbd;

/// <summary>
/// Our worker beside qemu-storage-daemon under the same loads, in turn (A B C A B C …), so that whatever else the machine
/// does hits all alike.
/// </summary>
internal sealed class NbdBenchmark(string worker, string parent, double seconds)
{
    private const int Rounds = 3;
    private const int MaxRequests = 2_000_000;

    public async Task<NbdReport> RunAsync(CancellationToken cancellationToken)
    {
        using var folder = new TempFolder(parent);
        Say($"making disks in {folder.Path}");
        await BenchmarkImages.CreateAsync(worker, folder.Path, cancellationToken);
        await using var godwit = await ServerProcess.StartGodwitAsync(worker, folder.Path, cancellationToken);
        await BenchmarkImages.FillAsync(folder.Path, godwit.Socket, cancellationToken);
        await using var threads = await ServerProcess.StartQemuAsync("threads", folder.Path, cancellationToken);
        await using var ring = await ServerProcess.StartQemuAsync("io_uring", folder.Path, cancellationToken);
        var results = new List<Measurement>();
        foreach (var load in Load.All)
            results.AddRange(await MeasureAsync(load, [godwit, threads, ring], cancellationToken));
        Say("counting allocations");
        var allocated = await AllocationCount.RunAsync(folder.Path, cancellationToken);
        return new NbdReport(
            Ratios(results), allocated, results, godwit.ResidentBytes, parent, Environment.ProcessorCount, LoadAverage());
    }

    private async Task<List<Measurement>> MeasureAsync(Load load, ServerProcess[] servers, CancellationToken cancellationToken)
    {
        Say(load.Name);
        var requests = new int[servers.Length];
        var rates = servers.Select(_ => new List<double>()).ToArray();
        var costs = servers.Select(_ => new List<double>()).ToArray();
        for (var i = 0; i < servers.Length; i++)
        {
            var trial = await load.RunAsync(servers[i].Socket, load.TrialRequests, cancellationToken);
            requests[i] = (int)Math.Clamp(load.TrialRequests / trial.TotalSeconds * seconds, load.TrialRequests, MaxRequests);
        }

        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < servers.Length; i++)
            {
                var before = servers[i].ProcessorTime;
                var time = await load.RunAsync(servers[i].Socket, requests[i], cancellationToken);
                rates[i].Add(requests[i] / time.TotalSeconds);
                costs[i].Add((servers[i].ProcessorTime - before).TotalMicroseconds / requests[i]);
            }
        }

        return [.. servers.Select((server, i) => new Measurement(
            load.Name, server.Name, load.Format, load.Random ? "fio" : "qemu-img bench", Median(rates[i]), Median(costs[i]), rates[i]))];
    }

    /// <summary>Ours divided by the better of QEMU's two ways: the one with more requests per second, or with less processor time.</summary>
    private static Dictionary<string, double> Ratios(List<Measurement> results)
    {
        var ratios = new Dictionary<string, double>
        {
            ["read4k_d1_vs_qsd"] = Iops("read4k_d1"),
            ["read4k_d16_vs_qsd"] = Iops("read4k_d16"),
            ["read1m_vs_qsd"] = Iops("read1m_d16"),
            ["write1m_vs_qsd"] = Iops("write1m_d16"),
            ["cpu4k_d16_vs_qsd"] = Cpu("read4k_d16"),
        };
        foreach (var load in Load.All)
        {
            ratios.TryAdd($"{load.Name}_vs_qsd", Iops(load.Name));
            ratios.TryAdd($"cpu_{load.Name}_vs_qsd", Cpu(load.Name));
        }

        return ratios;

        double Iops(string name) => Round(Ours(name).Iops / Theirs(name).Max(result => result.Iops));
        double Cpu(string name) => Round(Ours(name).CpuMicrosecondsPerRequest / Theirs(name).Min(result => result.CpuMicrosecondsPerRequest));
        Measurement Ours(string name) => results.Single(result => result.Name == name && result.Server == "godwit");
        IEnumerable<Measurement> Theirs(string name) => results.Where(result => result.Name == name && result.Server != "godwit");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static double Round(double ratio) => Math.Round(ratio, 3);

    private static double LoadAverage() =>
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);

    private static void Say(string what) => Console.Error.WriteLine($"nbd: {what}");
}
