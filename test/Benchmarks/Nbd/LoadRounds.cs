namespace Godwit.Benchmarks.Nbd;

/// <summary>One load on several servers in turn (A B C A B C …), so that whatever else the machine does hits all alike.</summary>
/// <param name="size">How many rounds, and how long.</param>
/// <param name="maxRequests">Most requests of one measurement.</param>
/// <param name="prepare">Done before each run of the load.</param>
internal sealed class LoadRounds(NbdRunSize size, int maxRequests, Func<CancellationToken, Task>? prepare = null)
{
    public async Task<List<Measurement>> MeasureAsync(Load load, IReadOnlyList<ServerProcess> servers, CancellationToken cancellationToken)
    {
        var requests = new int[servers.Count];
        var rates = servers.Select(_ => new List<double>()).ToArray();
        var costs = servers.Select(_ => new List<double>()).ToArray();
        var trial = Math.Min(maxRequests, load.TrialRequests / size.TrialDivisor);
        for (var i = 0; i < servers.Count; i++)
        {
            var time = await RunAsync(load, servers[i], trial, cancellationToken);
            requests[i] = (int)Math.Clamp(trial / Math.Max(time.TotalSeconds, 0.001) * size.Seconds, trial, maxRequests);
        }

        for (var round = 0; round < size.Rounds; round++)
        {
            for (var i = 0; i < servers.Count; i++)
            {
                var before = servers[i].ProcessorTime;
                var time = await RunAsync(load, servers[i], requests[i], cancellationToken);

                // fio tells whole milliseconds; a tiny run can take none.
                rates[i].Add(requests[i] / Math.Max(time.TotalSeconds, 0.001));
                costs[i].Add((servers[i].ProcessorTime - before).TotalMicroseconds / requests[i]);
            }
        }

        return [.. servers.Select((server, i) => new Measurement(
            load.Name, server.Name, load.Format, load.Random ? "fio" : "qemu-img bench", Middle.Of(rates[i]), Middle.Of(costs[i]), rates[i]))];
    }

    private async Task<TimeSpan> RunAsync(Load load, ServerProcess server, int requests, CancellationToken cancellationToken)
    {
        if (prepare is not null)
            await prepare(cancellationToken);
        return await load.RunAsync(server.Socket, requests, cancellationToken);
    }
}
