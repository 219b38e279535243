using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class VmLimitTests
{
    [Fact(Timeout = 30_000)]
    public async Task Limits_are_sent_and_what_holds_now_is_said()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, """{"requestsPerSecond":1500,"bytesPerSecond":52428800}"""));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "limit", "web 1", "--disk", "disk0", "--iops", "1500", "--bandwidth", "50M");
        Assert.Equal((ExitCode.Ok, "disk0 of VM web 1: at most 1,500 requests/s and 50 MiB/s\n"), (result.Code, result.Error));
        using var json = CliRun.Against(daemon);
        Assert.Contains("\"requestsPerSecond\": 1500", (await json.RunAsync("vm", "limit", "web", "--disk", "d", "--iops", "1", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Bursts_and_what_is_promised_are_sent_and_said()
    {
        await using var daemon = FakeDaemon.Answering(request => (200, request.Body));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync(
            "vm", "limit", "web", "--disk", "disk0", "--iops", "500", "--burst-iops", "2000", "--bandwidth", "50M", "--burst-bandwidth", "200M", "--burst-seconds", "10",
            "--minimum-iops", "100");
        Assert.Equal("disk0 of VM web: at most 500 requests/s (2,000 requests/s for 10 s) and 50 MiB/s (200 MiB/s for 10 s), 100 requests/s promised\n", result.Error);
        using var promise = CliRun.Against(daemon);
        Assert.Equal("disk0 of VM web: no limits, 7 requests/s promised\n", (await promise.RunAsync("vm", "limit", "web", "--disk", "disk0", "--minimum-iops", "7")).Error);
    }

    [Fact(Timeout = 30_000)]
    public async Task They_are_taken_away_by_word()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, "{}"));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "limit", "web", "--disk", "disk0", "--none");
        Assert.Equal((ExitCode.Ok, "disk0 of VM web: no limits\n"), (result.Code, result.Error));
    }

    [Theory(Timeout = 30_000)]
    [InlineData()]
    [InlineData("--iops", "0")]
    [InlineData("--iops", "5", "--none")]
    [InlineData("--bandwidth", "0")]
    [InlineData("--burst-iops", "5")]
    [InlineData("--iops", "5", "--burst-iops", "5")]
    [InlineData("--bandwidth", "5", "--burst-iops", "10")]
    [InlineData("--iops", "5", "--burst-seconds", "5")]
    [InlineData("--iops", "5", "--burst-iops", "10", "--burst-seconds", "0")]
    [InlineData("--iops", "5", "--burst-iops", "10", "--burst-seconds", "3601")]
    [InlineData("--iops", "5", "--minimum-iops", "6")]
    [InlineData("--minimum-iops", "0")]
    public async Task Nonsense_is_refused(params string[] options)
    {
        using var run = new CliRun();
        Assert.Equal(ExitCode.Usage, (await run.RunAsync(["vm", "limit", "web", "--disk", "disk0", .. options])).Code);
    }
}
