using Godwit.Benchmarks.Nbd;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Mirror;

/// <summary>What a guest's writes keep of their rate while a mirror is built: each server beside itself without one, in turn.</summary>
/// <param name="folder">On the file system to be measured.</param>
/// <param name="size">How much is done.</param>
internal sealed class GuestRates(string folder, MirrorRunSize size)
{
    public async Task<List<GuestMeasurement>> RunAsync(
        IReadOnlyList<IMirroredServer> servers, int depth, CancellationToken cancellationToken)
    {
        var alone = servers.Select(_ => new List<double>()).ToArray();
        var mirrored = servers.Select(_ => new List<double>()).ToArray();
        var copying = new int[servers.Count];
        for (var round = 0; round < size.Rounds; round++)
        {
            for (var i = 0; i < servers.Count; i++)
            {
                MirrorBenchmark.Say($"guest writes on {servers[i].Name} at depth {depth}, round {round + 1}");

                // Nobody waits for what somebody else has left to be written back.
                (await ChildProgram.RunAsync("sync", ["-f", folder], null, cancellationToken)).Succeeded();
                alone[i].Add(await WriteAsync(servers[i], depth, cancellationToken));
                await servers[i].StartAsync(cancellationToken);
                mirrored[i].Add(await WriteAsync(servers[i], depth, cancellationToken));
                copying[i] += await servers[i].IsInSyncAsync(cancellationToken) ? 0 : 1;
                await servers[i].CancelAsync(cancellationToken);
            }
        }

        return [.. servers.Select((server, i) =>
            new GuestMeasurement(server.Name, depth, Middle.Of(alone[i]), Middle.Of(mirrored[i]), copying[i]))];
    }

    private Task<double> WriteAsync(IMirroredServer server, int depth, CancellationToken cancellationToken) =>
        GuestWrites.RunAsync(server.Server.Socket, depth, size.GuestMilliseconds, cancellationToken);
}
