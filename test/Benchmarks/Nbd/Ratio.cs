namespace Godwit.Benchmarks.Nbd;

/// <summary>Ours divided by the best of the peers whose names begin with some letters.</summary>
internal static class Ratio
{
    /// <summary>Requests per second: the best peer is the one with the most.</summary>
    public static double Iops(IReadOnlyList<Measurement> results, string load, string peer) =>
        Round(Ours(results, load).Iops / Peers(results, load, peer).Max(result => result.Iops));

    /// <summary>Processor time per request: the best peer is the one with the least.</summary>
    public static double Cpu(IReadOnlyList<Measurement> results, string load, string peer) => Round(
        Ours(results, load).CpuMicrosecondsPerRequest / Peers(results, load, peer).Min(result => result.CpuMicrosecondsPerRequest));

    /// <summary>All of them, by name.</summary>
    public static Dictionary<string, double> All(IReadOnlyList<Measurement> results)
    {
        Dictionary<string, double> ratios = [];
        foreach (var load in results.Select(result => result.Name).Distinct())
        {
            foreach (var peer in new[] { "qsd", "nbdkit" }.Where(peer => Peers(results, load, peer).Any()))
            {
                ratios.Add($"{load}_vs_{peer}", Iops(results, load, peer));
                ratios.Add($"cpu_{load}_vs_{peer}", Cpu(results, load, peer));
            }
        }

        return ratios;
    }

    private static Measurement Ours(IReadOnlyList<Measurement> results, string load) =>
        results.Single(result => result.Name == load && result.Server == "godwit");

    private static IEnumerable<Measurement> Peers(IReadOnlyList<Measurement> results, string load, string peer) => results.Where(
        result => result.Name == load && result.Server != "godwit" && result.Server.StartsWith(peer, StringComparison.Ordinal));

    private static double Round(double ratio) => Math.Round(ratio, 3);
}
