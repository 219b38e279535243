using Godwit.Cli;
using Godwit.ControlPlane.Tests.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class VmRestartWorkerTests
{
    [Fact(Timeout = 30_000)]
    public async Task It_says_which_worker_serves_now()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, """
            {"id":"11111111-1111-1111-1111-111111111111","name":"web","state":"running","settings":{"memory":1},"path":"/vms/web","disks":[],"workerProcessId":4711}
            """));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "restart-worker", "web");
        Assert.Equal((ExitCode.Ok, "VM web has a new disk worker (process 4711)\n"), (result.Code, result.Error));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_refusal_is_shown()
    {
        await using var daemon = FakeDaemon.Answering(_ => (409, """{"code":"wrongState","title":"VM 'web' is off: nothing serves its disks."}"""));
        using var run = CliRun.Against(daemon);
        var result = await run.RunAsync("vm", "restart-worker", "web");
        Assert.Equal(ExitCode.Failed, result.Code);
        Assert.Contains("VM 'web' is off", result.Error, StringComparison.Ordinal);
    }
}
