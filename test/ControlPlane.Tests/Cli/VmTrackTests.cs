using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class VmTrackTests
{
    private const string Points = """
        [{"name":"monday","taken":"2026-03-02T04:05:06+00:00","changedBytes":1048576},
         {"name":"sunday","taken":"2026-03-01T04:05:06+00:00","changedBytes":1073741824,"lost":"the computer stopped"}]
        """;

    [Fact(Timeout = 30_000)]
    public async Task A_point_is_taken_and_all_are_listed()
    {
        var asked = new List<string>();
        await using var daemon = FakeDaemon.Answering(request =>
        {
            asked.Add(request.ToString());
            return request.Method == "POST" ? (201, """{"name":"monday","taken":"2026-03-02T04:05:06+00:00","changedBytes":0}""") : (200, Points);
        });
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "track", "web 1", "--disk", "disk0", "--add", "monday");
        Assert.Equal(
            """
            POINT   TAKEN                 CHANGED  LOST
            monday  2026-03-02 04:05:06Z    1 MiB
            sunday  2026-03-01 04:05:06Z    1 GiB  the computer stopped

            """,
            result.Out);
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Equal(["POST /v1/vms/web%201/disks/disk0/points", "GET /v1/vms/web%201/disks/disk0/points"], asked);
        using var json = CliRun.Against(daemon);
        Assert.Contains("\"changedBytes\": 1048576", (await json.RunAsync("vm", "track", "web", "--disk", "disk0", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_point_is_forgotten_and_that_there_are_none_is_said()
    {
        await using var daemon = FakeDaemon.Answering(request => request.Method == "DELETE" ? (204, "") : (200, "[]"));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "track", "web", "--disk", "disk0", "--remove", "monday");
        Assert.Equal((ExitCode.Ok, "no points; take one with --add\n"), (result.Code, result.Error));
    }

    [Theory(Timeout = 30_000)]
    [InlineData("--add", "a b")]
    [InlineData("--add", "")]
    [InlineData("--add", "a", "--remove", "b")]
    public async Task Nonsense_is_refused(params string[] options)
    {
        using var run = new CliRun();
        Assert.Equal(ExitCode.Usage, (await run.RunAsync(["vm", "track", "web", "--disk", "disk0", .. options])).Code);
    }
}
