using System.Globalization;
using Godwit.Benchmarks.Nbd;
using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Mirror;

/// <summary>The mirror that a storage move uses, beside cp and beside QEMU's, in the same run on the same file system.</summary>
/// <param name="worker">The worker as it is shipped.</param>
/// <param name="parent">A folder on the disk to be measured.</param>
/// <param name="size">How much is done.</param>
internal sealed class MirrorBenchmark(string worker, string parent, MirrorRunSize size)
{
    public async Task<MirrorReport> RunAsync(CancellationToken cancellationToken)
    {
        using var folder = new TempFolder(parent);

        // Not beside the files: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        var (bulk, guests) = await MeasureServersAsync(folder, sockets, cancellationToken);
        var stall = await MeasureStallAsync(folder, sockets, cancellationToken);
        var fileSystem = (await ChildProgram.RunAsync("df", ["--output=fstype", parent], null, cancellationToken)).Succeeded().Output.Split()[^2];
        return new MirrorReport(
            bulk, guests, stall, [.. Goals(bulk, guests, stall)], size.Rounds, parent, fileSystem, Environment.ProcessorCount, LoadAverage());
    }

    /// <summary>Says what is being done; the result itself goes to the standard output.</summary>
    public static void Say(string what) => Console.Error.WriteLine($"mirror: {what}");

    private async Task<(List<BulkMeasurement> Bulk, List<GuestMeasurement> Guests)> MeasureServersAsync(
        TempFolder folder, TempFolder sockets, CancellationToken cancellationToken)
    {
        var (ours, theirs) = (folder.File("disk.raw"), folder.File("qemu-disk.raw"));
        Say($"making disks in {folder.Path}");
        await BenchmarkImages.FillAsync(ours, size.Disk, cancellationToken);
        File.Copy(ours, theirs);
        await using var godwit = await GodwitMirror.StartAsync(worker, sockets.File("godwit"), ours, cancellationToken);
        await using var qemu = await QemuMirror.StartAsync(sockets.Path, theirs, cancellationToken);
        var bulk = await new BulkCopies(folder.Path, theirs, size).RunAsync([godwit, qemu], cancellationToken);
        List<GuestMeasurement> guests = [];
        foreach (var depth in new[] { 1, 16 })
            guests.AddRange(await new GuestRates(folder.Path, size).RunAsync([godwit, qemu], depth, cancellationToken));
        return (bulk, guests);
    }

    private async Task<StallMeasurement> MeasureStallAsync(TempFolder folder, TempFolder sockets, CancellationToken cancellationToken)
    {
        var disk = folder.File("switched.raw");
        await BenchmarkImages.FillAsync(disk, size.SwitchedDisk, cancellationToken);
        await using var godwit = await GodwitMirror.StartAsync(worker, sockets.File("switched"), disk, cancellationToken);
        return await new SwitchStalls(godwit, size).RunAsync(cancellationToken);
    }

    private static IEnumerable<Goal> Goals(List<BulkMeasurement> bulk, List<GuestMeasurement> guests, StallMeasurement stall)
    {
        var rate = bulk.ToDictionary(one => one.Program, one => one.BytesPerSecond);
        yield return new Goal("bulk rate to cp of the same data", true, 0.8, rate["godwit"] / rate["cp"]);
        yield return new Goal("bulk rate to QEMU's blockdev-mirror", true, 1, rate["godwit"] / rate["qemu"]);
        foreach (var depth in guests.Select(guest => guest.Depth).Distinct())
        {
            var kept = guests.Where(guest => guest.Depth == depth).ToDictionary(guest => guest.Program, guest => guest.KeptPercent);
            yield return new Goal($"guest 4 KiB writes kept while mirroring, depth {depth}", true, 60, kept["godwit"], "%");
            yield return new Goal($"the same to QEMU's blockdev-mirror (write-blocking), depth {depth}", true, 1, kept["godwit"] / kept["qemu"]);
        }

        yield return new Goal("local switchover, stall seen by the writer, p99", false, 20, stall.P99Milliseconds, "ms");
    }

    private static double LoadAverage() => double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
}
