namespace Godwit.Benchmarks.Nbd;

/// <summary>The marks of the data plane, for the parts that were measured.</summary>
internal static class Goals
{
    public static IReadOnlyList<Goal> Of(
        IReadOnlyList<Measurement> results, IReadOnlyList<StartMeasurement> starts, IReadOnlyList<CopyMeasurement> copies) =>
        [.. Warm(results), .. Cold(results), .. Starts(starts), .. Copies(copies)];

    private static IEnumerable<Goal> Warm(IReadOnlyList<Measurement> results)
    {
        if (!results.Any(result => result.Name == "read4k_d1"))
            yield break;
        (string Load, double Qemu)[] marks =
        [
            ("read4k_d1", 3), ("read4k_d16", 3), ("write4k_d1", 3), ("write4k_d16", 3),
            ("read1m_d1", 5), ("read1m_d16", 5), ("write1m_d1", 3), ("write1m_d16", 3),
        ];
        foreach (var (load, limit) in marks)
            yield return new Goal($"{load}: requests/s to the better qemu-storage-daemon", true, limit, Ratio.Iops(results, load, "qsd"));
        foreach (var (load, _) in marks)
            yield return new Goal($"{load}: requests/s to nbdkit", true, 1.5, Ratio.Iops(results, load, "nbdkit"));
        foreach (var load in new[] { "read4k_d16", "read4k_d1", "read1m_d1", "read1m_d16" })
            yield return new Goal($"{load}: server CPU per request to the better qemu-storage-daemon", false, 0.25, Ratio.Cpu(results, load, "qsd"));
    }

    private static IEnumerable<Goal> Cold(IReadOnlyList<Measurement> results)
    {
        var load = Load.Cold.Name;
        if (!results.Any(result => result.Name == load))
            yield break;
        yield return new Goal($"{load}: requests/s to the best peer", true, 1, Ratio.Iops(results, load, ""));

        // The CPU of the one that is quickest, not of one that is slow and cheap.
        var best = results.Where(result => result.Name == load && result.Server != "godwit").MaxBy(result => result.Iops)!;
        yield return new Goal($"{load}: server CPU per request to the best peer", false, 0.5, Ratio.Cpu(results, load, best.Server));
    }

    private static IEnumerable<Goal> Starts(IReadOnlyList<StartMeasurement> starts)
    {
        if (starts.SingleOrDefault(start => start.Server == "godwit") is not { } ours)
            yield break;
        yield return new Goal("start to greeting", false, 10, ours.Milliseconds, "ms");
        yield return new Goal("idle memory one second after the start", false, 12, ours.IdleBytes / 1048576.0, "MiB");
        yield return new Goal("idle memory after one connection", false, 12, ours.ServedBytes / 1048576.0, "MiB");
    }

    private static IEnumerable<Goal> Copies(IReadOnlyList<CopyMeasurement> copies)
    {
        foreach (var target in copies.Select(copy => copy.Target).Distinct())
        {
            yield return new Goal($"sparse VHDX to {target}: how much quicker than qemu-storage-daemon (vhdx)", true, 25, Time("qsd-vhdx") / Time("godwit"));
            yield return new Goal($"sparse VHDX to {target}: time to qemu-storage-daemon (qcow2)", false, 1.1, Time("godwit") / Time("qsd-qcow2"));

            double Time(string server) => copies.Single(copy => copy.Server == server && copy.Target == target).Seconds;
        }
    }
}
