using System.Globalization;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class KillTests(ITestOutputHelper output)
{
    private const long Size = 256 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    /// <summary>GODWIT_KILLS makes it a soak test.</summary>
    private static int Kills =>
        int.TryParse(Environment.GetEnvironmentVariable("GODWIT_KILLS"), CultureInfo.InvariantCulture, out var kills) ? kills : 50;

    [Theory(Timeout = 600_000)]
    [InlineData("disk0.vhdx")]
    public async Task Killing_the_worker_loses_no_acknowledged_write_and_costs_only_a_short_stall(string disk)
    {
        const int seed = 20260501;
        var random = new Random(seed);
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, disk);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 4, seed);
        List<double> stalls = [];
        for (var kill = 0; kill < Kills; kill++)
        {
            // A worker that lives less than a second several times in a row is started more slowly; that is not the point here.
            await Task.Delay(kill % 4 == 3 ? 1050 : random.Next(20, 400), _ct);
            var stall = await writers.StallAsync(
                () =>
                {
                    Assert.True(worker.KillWorker());
                    return Task.CompletedTask;
                },
                _ct);
            stalls.Add(stall.TotalMilliseconds);
        }

        Assert.Equal(Kills, (await worker.StatusAsync(_ct)).Restarts);
        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        writers.Check(await Tools.ToRawAsync(worker.File(disk), _ct));
        Assert.Equal(0, writers.Refused);
        stalls.Sort();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Kills} kills, {writers.Acknowledged} acknowledged writes, 0 lost; stall median {stalls[stalls.Count / 2]:F0} ms, p99 {stalls[(int)(stalls.Count * 0.99)]:F0} ms (seed {seed}, {WorkerUnderTest.Program})"));
    }
}
