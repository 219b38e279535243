using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class VmTopTests
{
    private static readonly OperationStatistics Nothing = new(0, 0, 0, 0, []);

    [Fact(Timeout = 30_000)]
    public async Task Rates_are_what_came_between_two_looks()
    {
        var looks = 0;
        await using var daemon = FakeDaemon.Answering(_ => (200, Json(Look(worker: 7, round: looks++))));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "top", "--interval", "0.1", "--count", "2");
        Assert.Equal(("", ExitCode.Ok), (result.Error, result.Code));
        var rows = result.Out.Split('\n').Where(line => line.StartsWith("web", StringComparison.Ordinal)).ToList();
        Assert.Equal(2, rows.Count);
        var cells = rows[0].Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

        // A hundred more reads each time, in 0.1 s and a little more; a timer may be a millisecond or two early.
        Assert.InRange(int.Parse(cells[2].Replace(",", "", StringComparison.Ordinal), System.Globalization.CultureInfo.InvariantCulture), 10, 1100);
        Assert.Equal(("disk0", "0", "102 us", "1"), (cells[1], cells[3], cells[7], cells[^1]));
    }

    [Fact(Timeout = 30_000)]
    public async Task Another_worker_begins_at_zero_and_interrupting_is_how_it_ends()
    {
        var looks = 0;
        await using var daemon = FakeDaemon.Answering(_ => (200, Json(Look(worker: 7 + looks, round: 5 - looks++))));
        using var run = CliRun.Against(daemon);
        var running = run.RunAsync("vm", "top", "--interval", "0.1");
        while (Volatile.Read(ref looks) < 3)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        run.Interrupt();
        var result = await running;
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.DoesNotContain("-", string.Concat(result.Out.Split('\n').Where(line => line.StartsWith("web", StringComparison.Ordinal))), StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_that_does_not_get_what_it_was_promised_says_so()
    {
        var disk = Look(7, 1)[0].Disks[0] with { Shortfall = new DiskShortfall(87, 1500, DateTimeOffset.UnixEpoch) };
        await using var daemon = FakeDaemon.Answering(_ => (200, Json([new VirtualMachineStatistics("web", 7, [disk])])));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "top", "--interval", "0.1", "--count", "1");
        Assert.EndsWith("  87 of 1,500/s", result.Out.Split('\n').Single(line => line.StartsWith("web", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task As_JSON_the_counters_are_written_once()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, Json(Look(worker: 7, round: 1))));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "top", "--json");
        using var json = JsonDocument.Parse(result.Out);
        Assert.Equal(100, json.RootElement[0].GetProperty("disks")[0].GetProperty("statistics").GetProperty("reads").GetProperty("requests").GetInt64());
    }

    [Theory(Timeout = 30_000)]
    [InlineData("--interval", "0")]
    [InlineData("--interval", "100000")]
    [InlineData("--count", "0")]
    public async Task Nonsense_is_refused(params string[] options)
    {
        using var run = new CliRun();
        Assert.Equal(ExitCode.Usage, (await run.RunAsync(["vm", "top", .. options])).Code);
    }

    private static IReadOnlyList<VirtualMachineStatistics> Look(int worker, int round) =>
    [
        new("web", worker,
        [
            new("disk0", "/srv/web.vhdx", 1, new DiskStatistics(
                new OperationStatistics(100 * round, 4096 * round, round, 0, [new LatencyStep(102_400, 100 * round)]), Nothing, Nothing, Nothing)),
        ]),
    ];

    private static string Json(IReadOnlyList<VirtualMachineStatistics> look) =>
        JsonSerializer.Serialize(look, ApiJson.Default.IReadOnlyListVirtualMachineStatistics);
}
