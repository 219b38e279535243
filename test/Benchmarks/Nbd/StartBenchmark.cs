using System.Diagnostics;
using Godwit.Benchmarks.Interop;
using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>How long it takes from the start of a server until a client has its greeting, and what it takes of memory then.</summary>
/// <param name="worker">The worker as it is shipped.</param>
/// <param name="folder">Where the disks are.</param>
/// <param name="size">How much is done.</param>
internal sealed class StartBenchmark(string worker, string folder, NbdRunSize size)
{
    private const long DiskBytes = 64 << 20;
    private static readonly string[] Names = ["godwit", "qemu-nbd", "nbdkit"];
    private int _starts;
    private string _sockets = "";

    public async Task<List<StartMeasurement>> RunAsync(CancellationToken cancellationToken)
    {
        // Not beside the disks: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        _sockets = sockets.Path;
        foreach (var name in Names)
        {
            await using var file = File.Create(FileOf(name));
            file.SetLength(DiskBytes);
        }

        var times = Names.ToDictionary(name => name, _ => new List<double>());
        for (var round = 0; round < size.Starts; round++)
        {
            foreach (var name in Names)
                times[name].Add(await TimeAsync(name, cancellationToken));
        }

        List<StartMeasurement> results = [];
        foreach (var name in Names)
        {
            var (idle, served) = await WeighAsync(name, cancellationToken);
            results.Add(new StartMeasurement(name, Middle.Of(times[name]), idle, served, times[name]));
        }

        return results;
    }

    private async Task<double> TimeAsync(string name, CancellationToken cancellationToken)
    {
        var (program, arguments, socket) = Command(name);
        var started = Stopwatch.GetTimestamp();
        using var process = ChildProgram.Start(program, arguments, null, redirect: true);
        try
        {
            Await(process, started, () => Greeting.HasCome(socket), cancellationToken);
            return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }
        finally
        {
            await EndAsync(process);
        }
    }

    /// <summary>Memory before anybody has connected, and after somebody has.</summary>
    private async Task<(long Idle, long Served)> WeighAsync(string name, CancellationToken cancellationToken)
    {
        var (program, arguments, socket) = Command(name);
        using var process = ChildProgram.Start(program, arguments, null, redirect: true);
        try
        {
            Await(process, Stopwatch.GetTimestamp(), () => File.Exists(socket), cancellationToken);
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
            var idle = ProcessMemory.ResidentBytes(process.Id);
            (await ChildProgram.RunAsync("nbdinfo", ["--size", $"nbd+unix:///disk?socket={socket}"], null, cancellationToken)).Succeeded();
            return (idle, ProcessMemory.ResidentBytes(process.Id));
        }
        finally
        {
            await EndAsync(process);
        }
    }

    private (string Program, string[] Arguments, string Socket) Command(string name)
    {
        // A folder for each start: a socket that is left over would be taken for a new one.
        var run = Directory.CreateDirectory(Path.Combine(_sockets, $"s{++_starts}")).FullName;
        var socket = Path.Combine(run, "nbd.sock");
        return name switch
        {
            "godwit" => (worker, Servers.GodwitArguments(run, false, [new("disk", "raw", FileOf(name))]), socket),
            "nbdkit" => (name, Servers.NbdkitArguments(socket, FileOf(name)), socket),
            _ => (name, ["-k", socket, "-t", "-f", "raw", "-x", "disk", FileOf(name)], socket),
        };
    }

    private string FileOf(string name) => Path.Combine(folder, $"{name}.raw");

    private static void Await(Process process, long started, Func<bool> done, CancellationToken cancellationToken)
    {
        while (!done())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (process.HasExited || Stopwatch.GetElapsedTime(started) > Greeting.Patience)
                throw new InvalidOperationException($"{process.StartInfo.FileName} does not serve");
            ShortPause.Take();
        }
    }

    private static async Task EndAsync(Process process)
    {
        if (!process.HasExited)
            process.Kill();
        await process.WaitForExitAsync();
    }
}
