using System.Globalization;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class KillTests(ITestOutputHelper output)
{
    private const long Size = 256 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    /// <summary>GODWIT_KILLS and GODWIT_SEED make it a soak test.</summary>
    private static int Kills => Number("GODWIT_KILLS", 50);

    [Theory(Timeout = 600_000)]
    [InlineData("disk0.vhdx", 4096, 1)]
    [InlineData("disk0.vhdx", 128 << 10, 5)]
    [InlineData("disk0.vhdx", 1 << 20, 10)]
    public async Task Killing_the_worker_loses_no_acknowledged_write_and_costs_only_a_short_stall(string disk, int bytes, int part)
    {
        var seed = Number("GODWIT_SEED", 20260501);
        var random = new Random(seed);
        var kills = Kills / part;
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, disk);
        await using var writers = SequencedWriters.Start(worker.NbdSocket, "disk0", Size, writers: 4, seed, recordBytes: bytes);
        List<double> stalls = [];
        for (var kill = 0; kill < kills; kill++)
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

        Assert.Equal(kills, (await worker.StatusAsync(_ct)).Restarts);
        await writers.StopAsync();
        Assert.Equal(0, await worker.StopAsync(_ct));
        var starts = StartTimes(worker.Log);
        writers.Check(await Tools.ToRawAsync(worker.File(disk), _ct));
        Assert.Equal(0, writers.Refused);
        stalls.Sort();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{kills} kills, {bytes} bytes a write, {writers.Acknowledged} acknowledged writes, 0 lost; stall median {stalls[stalls.Count / 2]:F0} ms, p99 {stalls[(int)(stalls.Count * 0.99)]:F0} ms; death seen to serving median {starts[starts.Count / 2]:F0} ms, worst {starts[^1]:F0} ms (seed {seed}, {WorkerUnderTest.Program})"));
    }

    private static int Number(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : usual;

    /// <summary>From the supervisor seeing a death to the next worker serving, in milliseconds, sorted.</summary>
    private static List<double> StartTimes(string log)
    {
        List<double> times = [];
        DateTimeOffset? death = null;
        foreach (var line in log.Split('\n'))
        {
            if (line.Contains("killed by signal", StringComparison.Ordinal) && line.Contains("in 0 ms", StringComparison.Ordinal))
                death = Time(line);
            else if (death is { } seen && line.Contains(" serves, start", StringComparison.Ordinal))
                (times, death) = ([.. times, (Time(line) - seen).TotalMilliseconds], null);
        }

        times.Sort();
        return times;

        static DateTimeOffset Time(string line) => DateTimeOffset.Parse(line[..24], CultureInfo.InvariantCulture);
    }
}
