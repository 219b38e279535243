using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class HostCheckCommandTests
{
    [Theory(Timeout = 30_000)]
    [InlineData(CheckSeverity.Warning, ExitCode.Ok, "warning")]
    [InlineData(CheckSeverity.Error, ExitCode.Failed, "error  ")]
    public async Task Findings_come_with_their_remedy_and_only_an_error_fails(CheckSeverity severity, int code, string word)
    {
        IReadOnlyList<CheckFinding> findings =
        [
            new("qemu", CheckSeverity.Good, "QEMU 10.0.2 is there."), new("space", severity, "'/srv\e[2J' has 3 MiB free.", "Free space."),
        ];
        await using var daemon = FakeDaemon.Answering(_ => (200, JsonSerializer.Serialize(findings, ApiJson.Default.IReadOnlyListCheckFinding)));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("host", "check");
        Assert.Equal(
            $"""
            good     QEMU 10.0.2 is there.
            {word}  '/srv?[2J' has 3 MiB free.
                     Free space.

            """,
            result.Out);
        Assert.Equal(code, result.Code);
        Assert.Equal("GET /v1/host/checks", Assert.Single(daemon.Requests).ToString());
    }
}
