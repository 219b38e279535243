using System.Diagnostics;
using Godwit.Benchmarks.Disk;
using Godwit.Benchmarks.Nbd;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Mirror;

/// <summary>How quickly a whole disk gets into a new file, an fsync included: mirrors beside cp.</summary>
/// <param name="folder">On the file system to be measured.</param>
/// <param name="disk">The disk's file: cp's source.</param>
/// <param name="size">How much is done.</param>
internal sealed class BulkCopies(string folder, string disk, MirrorRunSize size)
{
    private readonly string _copy = Path.Combine(folder, "cp.raw");

    public async Task<List<BulkMeasurement>> RunAsync(IReadOnlyList<IMirroredServer> servers, CancellationToken cancellationToken)
    {
        List<(string Name, Func<Task<double>> Run)> all =
            [.. servers.Select(server => (server.Name, Mirror(server))), ("cp", () => CopyAsync(cancellationToken))];
        var rates = all.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < size.Rounds; round++)
        {
            for (var i = 0; i < all.Count; i++)
            {
                MirrorBenchmark.Say($"whole disk by {all[i].Name}, round {round + 1}");

                // What earlier copies left to be written back is not this one's to wait for.
                (await ChildProgram.RunAsync("sync", ["-f", folder], null, cancellationToken)).Succeeded();
                rates[i].Add(((double)size.Disk * (1 << 20)) / await all[i].Run());
            }
        }

        File.Delete(_copy);
        return [.. all.Select((one, i) => new BulkMeasurement(one.Name, Middle.Of(rates[i]), rates[i]))];

        Func<Task<double>> Mirror(IMirroredServer server) => () => MirrorAsync(server, cancellationToken);
    }

    private async Task<double> CopyAsync(CancellationToken cancellationToken) =>
        (await TimedProgram.RunAsync(new Contender("cp", "cp", [disk, _copy], _copy), cancellationToken)).DurableSeconds;

    private static async Task<double> MirrorAsync(IMirroredServer server, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var target = await server.StartAsync(cancellationToken);
        while (!await server.IsInSyncAsync(cancellationToken))
            await Task.Delay(5, cancellationToken);

        // By a program: opening it here would ask for the lock that the server has.
        (await ChildProgram.RunAsync("sync", [target], null, cancellationToken)).Succeeded();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await server.CancelAsync(cancellationToken);
        return seconds;
    }
}
