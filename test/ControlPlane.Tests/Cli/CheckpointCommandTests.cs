using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class CheckpointCommandTests
{
    private const string List = """
        {"checkpoints":[
          {"id":"11111111-1111-1111-1111-111111111111","name":"first","created":"2026-03-01T04:05:06+00:00","type":"Standard","state":"Off","isCurrent":false},
          {"id":"22222222-2222-2222-2222-222222222222","name":"second","parentId":"11111111-1111-1111-1111-111111111111","created":"2026-03-02T04:05:06+00:00","type":"Standard","state":"Saved","isCurrent":true},
          {"id":"33333333-3333-3333-3333-333333333333","name":"other","parentId":"11111111-1111-1111-1111-111111111111","created":"2026-03-03T04:05:06+00:00","type":"Production","state":"Off","isCurrent":false}],
         "unmerged":1}
        """;

    [Fact(Timeout = 30_000)]
    public async Task The_tree_shows_where_the_VM_is_now()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, List));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("checkpoint", "list", "web");
        Assert.Equal(
            """
            CHECKPOINT  TAKEN                 GIVES          ID
            first       2026-03-01 04:05:06Z  disks          11111111-1111-1111-1111-111111111111
              second    2026-03-02 04:05:06Z  disks, memory  22222222-2222-2222-2222-222222222222
                now
              other     2026-03-03 04:05:06Z  disks, still   33333333-3333-3333-3333-333333333333

            """,
            result.Out);
        Assert.Equal((ExitCode.Ok, "1 removed, whose files are still needed or not merged yet\n"), (result.Code, result.Error));
    }

    [Fact(Timeout = 30_000)]
    public async Task Names_are_sent_as_they_are()
    {
        var asked = new List<string>();
        await using var daemon = FakeDaemon.Answering(request =>
        {
            asked.Add(request.ToString());
            return (200, List);
        });
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("checkpoint", "rename", "web 1", "a/b", "new name");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Equal(["POST /v1/vms/web%201/checkpoints/a%2Fb/rename"], asked);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("create", "web", "--type", "disabled")]
    [InlineData("create", "web", "--type", "x")]
    [InlineData("apply", "web", "before", "--start", "--no-wait")]
    [InlineData("remove", "web")]
    public async Task Nonsense_is_refused(params string[] words)
    {
        using var run = new CliRun();
        Assert.Equal(ExitCode.Usage, (await run.RunAsync(["checkpoint", .. words])).Code);
    }
}
