using System.Net.Sockets;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.Api;

public sealed class GodwitClientTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = 30_000)]
    [InlineData(".")]
    [InlineData("..")]
    public async Task A_name_of_dots_asks_for_nothing_else(string name)
    {
        await using var daemon = FakeDaemon.Answering(_ => throw new InvalidOperationException("asked"));
        using var client = daemon.NewClient();
        var refused = await Assert.ThrowsAsync<GodwitException>(() => client.RemoveCheckpointAsync("web", name, false, Token));
        Assert.Equal(ErrorCode.InvalidRequest, refused.Problem.Code);
        await Assert.ThrowsAsync<GodwitException>(() => client.RemoveVirtualMachineAsync(name, false, false, Token));
    }

    [Fact(Timeout = 30_000)]
    public async Task Each_member_asks_for_its_own_resource()
    {
        var vm = JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine);
        var job = JsonSerializer.Serialize(Samples.Job(JobState.Running), ApiJson.Default.Job);
        await using var daemon = FakeDaemon.Answering(request => request.ToString() switch
        {
            "GET /v1/vms" => (200, $"[{vm}]"),
            "DELETE /v1/vms/my%20vm?deleteDisks=true&force=true" or "DELETE /v1/vms/my%20vm" => (204, ""),
            "GET /v1/jobs" => (200, $"[{job}]"),
            "GET /v1/host" => (200, """{"name":"h","version":"1","processId":7,"virtualMachines":1,"runningVirtualMachines":1,"activeJobs":0,"storageMoveLimit":2,"allowedRoots":[]}"""),
            var path when path.EndsWith("/storage-moves", StringComparison.Ordinal) => request.Body.Contains("\"dryRun\":true", StringComparison.Ordinal)
                ? (200, """{"items":[],"phases":["Copy"],"availableBytes":1}""")
                : (202, job),
            var path when path.Contains("/jobs/", StringComparison.Ordinal) => (200, job),
            _ => (200, vm),
        });
        using var client = daemon.NewClient();
        Assert.Equal("web", Assert.Single(await client.ListVirtualMachinesAsync(Token)).Name);
        Assert.Equal(2, (await client.GetVirtualMachineAsync("my vm", Token)).Disks.Count);
        await client.CreateVirtualMachineAsync(new VirtualMachineSpec("x", new VirtualMachineSettings(), [new DiskSpec("/a", 512)]), Token);
        await client.StartVirtualMachineAsync("a/b", Token);
        await client.StopVirtualMachineAsync("a", new StopRequest(true, 5), Token);
        await client.RemoveVirtualMachineAsync("my vm", true, true, Token);
        await client.RemoveVirtualMachineAsync("my vm", false, false, Token);
        Assert.Equal(1, (await client.PlanStorageMoveAsync("a", new StorageMoveRequest("/t"), Token)).AvailableBytes);
        Assert.Equal(Samples.JobId, (await client.MoveStorageAsync("a", new StorageMoveRequest("/t", DryRun: true), Token)).Id);
        Assert.Single(await client.ListJobsAsync(Token));
        await client.GetJobAsync(Samples.JobId, Token);
        await client.CancelJobAsync(Samples.JobId, Token);
        Assert.Equal(2, (await client.GetHostAsync(Token)).StorageMoveLimit);
        Assert.Equal(
            [
                "GET /v1/vms", "GET /v1/vms/my%20vm", "POST /v1/vms", "POST /v1/vms/a%2Fb/start", "POST /v1/vms/a/stop",
                "DELETE /v1/vms/my%20vm?deleteDisks=true&force=true", "DELETE /v1/vms/my%20vm", "POST /v1/vms/a/storage-moves",
                "POST /v1/vms/a/storage-moves", "GET /v1/jobs", $"GET /v1/jobs/{Samples.JobId}", $"POST /v1/jobs/{Samples.JobId}/cancel", "GET /v1/host",
            ],
            daemon.Requests.Select(request => request.ToString()));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_problem_arrives_as_it_was_sent()
    {
        await using var daemon = FakeDaemon.Answering(_ =>
            (409, """{"type":"about:blank","status":409,"code":"Busy","title":"VM web is being moved","remedy":"wait for job 1"}"""));
        using var client = daemon.NewClient();
        var thrown = await Assert.ThrowsAsync<GodwitException>(() => client.StartVirtualMachineAsync("web", Token));
        Assert.Equal(new Problem(ErrorCode.Busy, "VM web is being moved", "wait for job 1"), thrown.Problem);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(401, "", ErrorCode.Unauthenticated)]
    [InlineData(403, "", ErrorCode.Forbidden)]
    [InlineData(404, "<html>", ErrorCode.NotFound)]
    [InlineData(500, """{"code":"FromTheFuture","title":"x"}""", ErrorCode.Internal)]
    [InlineData(502, "{}", ErrorCode.Internal)]
    public async Task An_error_that_is_no_problem_record_still_gets_a_code(int status, string body, ErrorCode code)
    {
        await using var daemon = FakeDaemon.Answering(_ => (status, body));
        using var client = daemon.NewClient();
        Assert.Equal(code, (await Assert.ThrowsAsync<GodwitException>(() => client.ListJobsAsync(Token))).Problem.Code);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[{]")]
    [InlineData("{}")]
    public async Task An_answer_that_is_not_understood_names_the_daemon(string body)
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, body));
        using var client = daemon.NewClient();
        var thrown = await Assert.ThrowsAsync<GodwitException>(() => client.ListVirtualMachinesAsync(Token));
        Assert.Equal(ErrorCode.Internal, thrown.Problem.Code);
        Assert.Contains(daemon.Address, thrown.Problem.Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_answer_cut_off_at_any_byte_is_unavailable_and_never_a_wrong_record()
    {
        var body = JsonSerializer.Serialize(Samples.Vm(), ApiJson.Default.VirtualMachine);
        var whole = $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";
        var cut = 0;
        await using var daemon = new FakeDaemon((_, stream, token) =>
            stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(whole[..cut]), token).AsTask());
        for (; cut < whole.Length; cut += 7)
        {
            using var client = daemon.NewClient();
            var thrown = await Assert.ThrowsAsync<GodwitException>(() => client.GetVirtualMachineAsync("web", Token));
            Assert.Equal(ErrorCode.Unavailable, thrown.Problem.Code);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_missing_socket_says_which_and_what_to_do()
    {
        using var folder = new TemporaryFolder();
        using var client = new GodwitClient(GodwitAddress.Parse("unix:" + folder["none.sock"]), null, TimeProvider.System);
        var problem = (await Assert.ThrowsAsync<GodwitException>(() => client.GetHostAsync(Token))).Problem;
        Assert.Equal(ErrorCode.Unavailable, problem.Code);
        Assert.Equal($"godwitd is not reachable at unix:{folder["none.sock"]} (no such socket)", problem.Title);
        Assert.Contains("GODWIT_HOST", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_socket_nobody_listens_on_says_so()
    {
        using var folder = new TemporaryFolder();
        using var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dead.Bind(new UnixDomainSocketEndPoint(folder["dead.sock"]));
        using var client = new GodwitClient(GodwitAddress.Parse("unix:" + folder["dead.sock"]), null, TimeProvider.System);
        var problem = (await Assert.ThrowsAsync<GodwitException>(() => client.GetHostAsync(Token))).Problem;
        Assert.Contains("nobody listens there", problem.Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_token_is_sent_when_there_is_one()
    {
        await using var daemon = FakeDaemon.Answering(_ => (200, "[]"));
        using (var client = daemon.NewClient("secret"))
            await client.ListJobsAsync(Token);
        using (var client = daemon.NewClient())
            await client.ListJobsAsync(Token);
        Assert.Equal(["Bearer secret", null], daemon.Requests.Select(request => request.Authorization));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_cancelled_call_ends_at_once()
    {
        await using var daemon = new FakeDaemon((_, _, token) => Task.Delay(Timeout.Infinite, token));
        using var client = daemon.NewClient();
        using var cancel = new CancellationTokenSource(50);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.ListJobsAsync(cancel.Token));
    }
}
