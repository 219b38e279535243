using System.Globalization;
using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>Our worker beside other servers under the same loads, in the same run.</summary>
/// <param name="worker">The worker as it is shipped.</param>
/// <param name="memory">Folder of the warm loads: best in memory.</param>
/// <param name="disk">Folder of the cold loads and of the sparse disk: on a disk.</param>
/// <param name="size">How much is done.</param>
/// <param name="parts">Which parts.</param>
internal sealed class NbdBenchmark(string worker, string memory, string disk, NbdRunSize size, IReadOnlySet<string> parts)
{
    /// <summary>The parts there are.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["warm", "cold", "start", "sparse"];

    private readonly List<Measurement> _results = [];
    private readonly List<string> _notes = [];
    private double? _allocated;
    private long? _resident;

    public async Task<NbdReport> RunAsync(CancellationToken cancellationToken)
    {
        if (parts.Contains("warm"))
            await MeasureWarmAsync(cancellationToken);
        if (parts.Contains("cold"))
            await MeasureColdAsync(cancellationToken);
        List<StartMeasurement> starts = [];
        if (parts.Contains("start"))
            starts = await InFolderAsync(memory, "start to greeting", folder => new StartBenchmark(worker, folder, size).RunAsync(cancellationToken));
        List<CopyMeasurement> copies = [];
        if (parts.Contains("sparse"))
            copies = await InFolderAsync(disk, "sparse disk", folder => new SparseCopies(worker, folder, size).RunAsync(cancellationToken));
        return new NbdReport(
            Ratio.All(_results), _allocated, _results, starts, copies, Goals.Of(_results, starts, copies), _notes, _resident, size.Rounds,
            memory, disk, Environment.ProcessorCount, LoadAverage());
    }

    /// <summary>Says what is being done; the result itself goes to the standard output.</summary>
    public static void Say(string what) => Console.Error.WriteLine($"nbd: {what}");

    private async Task MeasureWarmAsync(CancellationToken cancellationToken)
    {
        using var temporary = new TempFolder(memory);
        var folder = temporary.Path;

        // Not beside the files: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        Say($"making disks in {folder}");
        await BenchmarkImages.CreateAsync(worker, folder, size.WarmDisk, cancellationToken);
        await using var godwit = await Servers.GodwitAsync(worker, Path.Combine(sockets.Path, "godwit"), false, Files("godwit"), cancellationToken);
        await BenchmarkImages.FillServedAsync(folder, godwit.Socket, cancellationToken);
        await using var threads = await QemuAsync("threads");
        await using var ring = await QemuAsync("io_uring");
        await using var nbdkit = await Servers.NbdkitAsync(Path.Combine(sockets.Path, "nbdkit.sock"), Path.Combine(folder, "nbdkit.raw"), cancellationToken);
        var rounds = new LoadRounds(size, maxRequests: 2_000_000);
        foreach (var load in Load.All)
        {
            Say(load.Name);
            ServerProcess[] servers = load.Format == "raw" ? [godwit, threads, ring, nbdkit] : [godwit, threads, ring];
            _results.AddRange(await rounds.MeasureAsync(load, servers, cancellationToken));
        }

        Say("counting allocations");
        _allocated = await AllocationCount.RunAsync(folder, cancellationToken);
        _resident = godwit.ResidentBytes;

        Task<ServerProcess> QemuAsync(string aio) =>
            Servers.QemuAsync($"qsd-{aio}", aio, Path.Combine(sockets.Path, $"{aio}.sock"), false, Files($"qsd-{aio}"), cancellationToken);
        ServedFile[] Files(string name) =>
            [new("raw", "raw", Path.Combine(folder, $"{name}.raw")), new("vhdx", "vhdx", Path.Combine(folder, $"{name}.vhdx"))];
    }

    private async Task MeasureColdAsync(CancellationToken cancellationToken)
    {
        var fileSystem = (await ChildProgram.RunAsync("df", ["--output=fstype", disk], null, cancellationToken)).Succeeded().Output.Split()[^2];
        if (fileSystem is "tmpfs" or "ramfs")
        {
            _notes.Add($"Cold loads left out: {disk} is {fileSystem}, which has nothing but its page cache; give --folder a folder on a disk.");
            return;
        }

        _notes.Add($"Cold loads on {fileSystem} in {disk}.");
        _results.AddRange(await InFolderAsync(disk, Load.Cold.Name, folder => new ColdReads(worker, folder, size).RunAsync(cancellationToken)));
    }

    private static async Task<T> InFolderAsync<T>(string parent, string what, Func<string, Task<T>> run)
    {
        Say($"{what} in {parent}");
        using var folder = new TempFolder(parent);
        return await run(folder.Path);
    }

    private static double LoadAverage() => double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
}
