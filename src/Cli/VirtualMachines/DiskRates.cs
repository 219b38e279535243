using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>What a disk did between two looks.</summary>
/// <param name="Errors">Requests that failed.</param>
/// <param name="Cells">The figures, as columns of a table.</param>
internal sealed record DiskRates(long Errors, string[] Cells)
{
    /// <summary>The rates of every disk that is there at the second look.</summary>
    /// <param name="before">The first look.</param>
    /// <param name="now">The second.</param>
    /// <param name="seconds">The time between them.</param>
    public static IReadOnlyList<DiskRates> Between(
        IReadOnlyList<VirtualMachineStatistics> before, IReadOnlyList<VirtualMachineStatistics> now, double seconds) =>
        [.. from vm in now
            from disk in vm.Disks
            select Of(vm.Name, disk.Name, Find(before, vm, disk.Name), disk.Statistics, seconds)];

    /// <summary>The counters at the first look; null when another worker counted then, and this one began at zero since.</summary>
    private static DiskStatistics? Find(IReadOnlyList<VirtualMachineStatistics> before, VirtualMachineStatistics vm, string disk) => before
        .FirstOrDefault(each => each.Name == vm.Name && each.WorkerProcessId == vm.WorkerProcessId)?.Disks
        .FirstOrDefault(each => each.Name == disk)?.Statistics;

    private static DiskRates Of(string vm, string disk, DiskStatistics? before, DiskStatistics now, double seconds)
    {
        var errors = All(now).Sum(each => each.Errors) - (before is null ? 0 : All(before).Sum(each => each.Errors));
        return new DiskRates(
            errors,
            [
                vm, disk,
                Rate(now.Reads.Requests - (before?.Reads.Requests ?? 0), seconds),
                Rate(now.Writes.Requests - (before?.Writes.Requests ?? 0), seconds),
                Rate(now.Flushes.Requests - (before?.Flushes.Requests ?? 0), seconds),
                ByteSize.Format((long)((now.Reads.Bytes - (before?.Reads.Bytes ?? 0)) / seconds)),
                ByteSize.Format((long)((now.Writes.Bytes - (before?.Writes.Bytes ?? 0)) / seconds)),
                Slowest(before?.Reads, now.Reads),
                Slowest(before?.Writes, now.Writes),
                errors.ToString(CultureInfo.InvariantCulture),
            ]);
    }

    private static IEnumerable<OperationStatistics> All(DiskStatistics disk) => [disk.Reads, disk.Writes, disk.Flushes, disk.Discards];

    private static string Rate(long requests, double seconds) => (requests / seconds).ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>The time that 99 of 100 requests did not exceed.</summary>
    private static string Slowest(OperationStatistics? before, OperationStatistics now)
    {
        var earlier = before?.Latency.ToDictionary(step => step.Nanoseconds, step => step.Requests) ?? [];
        var steps = now.Latency.Select(step => (step.Nanoseconds, Requests: step.Requests - earlier.GetValueOrDefault(step.Nanoseconds))).ToList();
        var wanted = (long)Math.Ceiling(steps.Sum(step => step.Requests) * 0.99);
        foreach (var (nanoseconds, requests) in steps)
        {
            wanted -= requests;
            if (wanted <= 0 && requests > 0)
                return Time(nanoseconds);
        }

        return "";
    }

    private static string Time(long nanoseconds) => nanoseconds switch
    {
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0} us"),
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e9:0} s"),
    };
}
