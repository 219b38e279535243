using System.Globalization;
using Godwit.Benchmarks.Mirror;
using Godwit.Benchmarks.Nbd;
using Godwit.Testing;

namespace Godwit.Benchmarks.Latency;

/// <summary>`godwit-bench latency [--minutes N] [--worker PATH]`: the slowest of very many small reads, beside QEMU's exporter.</summary>
/// <remarks>The two take turns of half a minute, so that what the computer does besides meets both. Our worker collects garbage all the time: its budget
/// is 64 KiB, and its status is asked for a hundred times a second.</remarks>
internal static class LatencyVerb
{
    private const int DiskMebibytes = 256;
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var minutes = 10.0;
        var worker = Path.Combine(AppContext.BaseDirectory, "godwit-worker");
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--worker" when i + 1 < arguments.Length: worker = Path.GetFullPath(arguments[++i]); break;
                case "--minutes" when i + 1 < arguments.Length
                    && double.TryParse(arguments[i + 1], CultureInfo.InvariantCulture, out minutes) && minutes > 0:
                    i++; break;
                default:
                    await Console.Error.WriteLineAsync($"latency: unknown or unfinished option '{arguments[i]}'; known: --minutes N, --worker PATH");
                    return 64;
            }
        }

        using var interrupted = new CancellationTokenSource();
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            interrupted.Cancel();
        };
        try
        {
            await MeasureAsync(worker, TimeSpan.FromMinutes(minutes), interrupted.Token);
            return 0;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("latency: interrupted; everything it started is ended");
            return 2;
        }
    }

    private static async Task MeasureAsync(string worker, TimeSpan each, CancellationToken cancellationToken)
    {
        using var folder = new TempFolder(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath());
        using var sockets = new TempFolder();
        foreach (var file in (string[])["godwit.raw", "qemu.raw"])
            await BenchmarkImages.FillAsync(folder.File(file), DiskMebibytes, cancellationToken);

        // Inherited by the worker alone: this process has started.
        Environment.SetEnvironmentVariable("DOTNET_GCgen0size", "0x10000");
        await using var godwit = await Servers.GodwitAsync(
            worker, sockets.File("godwit"), false, [new ServedFile("raw", "raw", folder.File("godwit.raw"))], cancellationToken);
        await using var qemu = await Servers.QemuAsync(
            "qemu-storage-daemon", "io_uring", sockets.File("qemu.sock"), false, [new ServedFile("raw", "raw", folder.File("qemu.raw"))], cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var asking = AskAsync(Path.Combine(sockets.File("godwit"), "control.sock"), stop.Token);
        var (ours, theirs) = (new LatencyCounts(), new LatencyCounts());
        using var first = new LatencyProbe(godwit.Socket, "raw");
        using var second = new LatencyProbe(qemu.Socket, "raw");
        var turn = each < Turn ? each : Turn;
        for (var done = TimeSpan.Zero; done < each; done += turn)
        {
            await Console.Error.WriteLineAsync($"latency: {done.TotalSeconds:0} of {each.TotalSeconds:0} s each");
            foreach (var (probe, counts) in new[] { (first, ours), (second, theirs) })
            {
                cancellationToken.ThrowIfCancellationRequested();
                probe.Run(turn, counts);
            }
        }

        await stop.CancelAsync();
        var asked = await asking;
        Print("godwit", ours);
        Print(qemu.Name, theirs);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"p99.9 beyond the peer's: {(ours.Permille(999) - theirs.Permille(999)) / 1000.0:F3} ms (goal: at most 1); {asked} status questions of our worker meanwhile"));
    }

    private static void Print(string name, LatencyCounts counts) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{name}: {counts.Requests} reads, p50 {counts.Permille(500)} us, p99 {counts.Permille(990)} us, p99.9 {counts.Permille(999)} us, "
        + $"p99.99 {counts.Permille(999.9)} us, longest {counts.LongestMilliseconds:F2} ms, {counts.Stalls} above 5 ms"));

    private static async Task<int> AskAsync(string socket, CancellationToken cancellationToken)
    {
        var asked = 0;
        using var line = await LineSocket.ConnectAsync(socket, cancellationToken);
        try
        {
            while (true)
            {
                await line.SendAsync("{\"command\":\"status\"}"u8.ToArray(), cancellationToken);
                await line.ReceiveAsync(cancellationToken);
                asked++;
                await Task.Delay(10, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            return asked;
        }
    }
}
