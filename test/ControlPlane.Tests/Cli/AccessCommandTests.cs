using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class AccessCommandTests
{
    private const string Token = """{"name":"anna","role":"Viewer","created":"2026-01-02T03:04:05Z","expires":"2026-02-01T03:04:05Z"}""";

    [Fact(Timeout = 30_000)]
    public async Task The_secret_of_a_new_token_is_all_that_is_on_stdout()
    {
        await using var daemon = FakeDaemon.Answering(_ => (201, $$"""{"token":{{Token}},"secret":"godwit_x"}"""));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("token", "create", "anna", "--role", "viewer", "--expires", "30d");
        Assert.Equal("godwit_x\n", result.Out);
        Assert.DoesNotContain("godwit_x", result.Error, StringComparison.Ordinal);
        Assert.Contains("until 2026-02-01", result.Error, StringComparison.Ordinal);
        var request = Assert.Single(daemon.Requests);
        Assert.Equal("POST /v1/tokens", request.ToString());
        Assert.Equal("""{"name":"anna","role":"Viewer","lifetimeSeconds":2592000}""", request.Body);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("never", null), InlineData("12h", 43_200L), InlineData("90m", 5_400L), InlineData("3650d", 315_360_000L)]
    public async Task A_lifetime_is_sent_in_seconds(string text, long? seconds)
    {
        await using var daemon = FakeDaemon.Answering(_ => (201, $$"""{"token":{{Token}},"secret":"godwit_x"}"""));
        using var run = CliRun.Against(daemon);
        Assert.Equal(ExitCode.Ok, (await run.RunAsync("token", "create", "anna", "--role", "operator", "--expires", text)).Code);
        Assert.Equal(seconds is not null, Assert.Single(daemon.Requests).Body.Contains($"\"lifetimeSeconds\":{seconds}", StringComparison.Ordinal) && seconds is not null);
    }

    [Fact(Timeout = 30_000)]
    public async Task Tokens_are_listed_and_removed()
    {
        await using var daemon = FakeDaemon.Answering(request => request.Method == "DELETE" ? (204, "") : (200, $"[{Token}]"));
        using (var run = CliRun.Against(daemon))
            Assert.Contains("anna  viewer  2026-01-02 03:04:05Z  2026-02-01 03:04:05Z  never", (await run.RunAsync("token", "list")).Out, StringComparison.Ordinal);
        using (var run = CliRun.Against(daemon))
            Assert.Equal("removed token anna\n", (await run.RunAsync("token", "remove", "anna")).Error);
        Assert.Equal("DELETE /v1/tokens/anna", daemon.Requests.Last().ToString());
    }

    [Fact(Timeout = 30_000)]
    public async Task The_audit_log_is_read_page_by_page_and_shown_newest_last()
    {
        const string Entry = """{"number":NUMBER,"time":"2026-01-02T03:04:05Z","caller":"CALLER","origin":"Token","address":"192.0.2.7","method":"POST","target":"/v1/vms/a%1b/start","status":403,"code":"Forbidden","requestId":"r"}""";
        await using var daemon = FakeDaemon.Answering(request => request.Path.Contains("after", StringComparison.Ordinal)
            ? (200, $$"""{"entries":[{{Entry.Replace("NUMBER", "1").Replace("CALLER", "token:old")}}]}""")
            : (200, $$"""{"entries":[{{Entry.Replace("NUMBER", "2").Replace("CALLER", "token:new")}}],"next":2}"""));
        using var run = CliRun.Against(daemon);
        var lines = (await run.RunAsync("host", "audit", "--last", "2000")).Out.Split('\n');
        Assert.Equal("2026-01-02 03:04:05Z  token:old  -     192.0.2.7  POST /v1/vms/a%1b/start  403 Forbidden", lines[1]);
        Assert.Contains("token:new", lines[2], StringComparison.Ordinal);
        Assert.Equal(["/v1/audit?limit=1000", "/v1/audit?limit=1000&after=2"], daemon.Requests.Select(request => request.Path));
    }
}
