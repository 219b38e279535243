using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>What a disk did between two looks.</summary>
/// <param name="Errors">Requests that failed.</param>
/// <param name="IsShort">It does not get the requests it was promised.</param>
/// <param name="Cells">The figures, as columns of a table.</param>
internal sealed record DiskRates(long Errors, bool IsShort, string[] Cells)
{
    /// <summary>The rates of every disk that is there at the second look.</summary>
    /// <param name="before">The first look.</param>
    /// <param name="now">The second.</param>
    /// <param name="seconds">The time between them.</param>
    public static IReadOnlyList<DiskRates> Between(
        IReadOnlyList<VirtualMachineStatistics> before, IReadOnlyList<VirtualMachineStatistics> now, double seconds) =>
        [.. from vm in now
            from disk in vm.Disks
            select Of(vm.Name, disk, Find(before, vm, disk.Name), seconds)];

    /// <summary>The counters at the first look; null when another worker counted then, and this one began at zero since.</summary>
    private static DiskStatistics? Find(IReadOnlyList<VirtualMachineStatistics> before, VirtualMachineStatistics vm, string disk) => before
        .FirstOrDefault(each => each.Name == vm.Name && each.WorkerProcessId == vm.WorkerProcessId)?.Disks
        .FirstOrDefault(each => each.Name == disk)?.Statistics;

    private static DiskRates Of(string vm, VirtualMachineDiskStatistics disk, DiskStatistics? before, double seconds)
    {
        var now = disk.Statistics;
        var (reads, writes) = (now.Reads.Since(before?.Reads), now.Writes.Since(before?.Writes));
        var (flushes, discards) = (now.Flushes.Since(before?.Flushes), now.Discards.Since(before?.Discards));
        var errors = reads.Errors + writes.Errors + flushes.Errors + discards.Errors;
        return new DiskRates(
            errors,
            disk.Shortfall is not null,
            [
                vm, disk.Name,
                Rate(reads.Requests, seconds), Rate(writes.Requests, seconds), Rate(flushes.Requests, seconds),
                ByteSize.Format((long)(reads.Bytes / seconds)), ByteSize.Format((long)(writes.Bytes / seconds)),
                Time(reads.Percentile(0.99)), Time(writes.Percentile(0.99)),
                errors.ToString(CultureInfo.InvariantCulture),
                disk.Shortfall is { } shortfall ? string.Create(CultureInfo.InvariantCulture, $"{shortfall.RequestsPerSecond:#,0} of {shortfall.Minimum:#,0}/s") : "",
            ]);
    }

    private static string Rate(long requests, double seconds) => (requests / seconds).ToString("#,0", CultureInfo.InvariantCulture);

    private static string Time(long nanoseconds) => nanoseconds switch
    {
        0 => "",
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0} us"),
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e9:0} s"),
    };
}
