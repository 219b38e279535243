using System.Net;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Host.Http;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>Every endpoint and every way it refuses, over HTTP on a unix socket.</summary>
public sealed class RestTests
{
    private const string Spec = """{"name":"web 1","settings":{"memory":67108864},"disks":[{"path":"/src/a.vhdx","size":1048576}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task A_VM_lives_its_life()
    {
        await using var host = await RestHost.StartAsync();
        Assert.Equal("[]", (await host.GetAsync("/v1/vms")).Body.GetRawText());
        var (status, vm) = await host.PostAsync("/v1/vms", Spec);
        Assert.Equal((201, "Off"), (status, vm.GetProperty("state").GetString()));
        Assert.Equal("VhdxDynamic", vm.GetProperty("disks")[0].GetProperty("format").GetString());
        (status, vm) = await host.PostAsync("/v1/vms/web%201/start");
        Assert.Equal((200, "Running"), (status, vm.GetProperty("state").GetString()));
        Assert.Equal((200, 1), ((await host.GetAsync("/v1/vms")).Status, (await host.GetAsync("/v1/vms")).Body.GetArrayLength()));
        (status, vm) = await host.GetAsync("/v1/vms/web%201");
        Assert.Equal((200, "tcg"), (status, vm.GetProperty("accelerator").GetString()));
        (status, vm) = await host.PostAsync("/v1/vms/web%201/stop");
        Assert.Equal((200, "Off"), (status, vm.GetProperty("state").GetString()));
        await host.PostAsync("/v1/vms/web%201/start");
        (status, _) = await host.PostAsync("/v1/vms/web%201/stop", """{"turnOff":true}""");
        Assert.Equal(200, status);
        Assert.Contains("turn off", host.Fakes.Runtime.Trace);
        (status, _) = await host.SendAsync(HttpMethod.Delete, "/v1/vms/web%201?deleteDisks=true");
        Assert.Equal(204, status);
        Assert.Empty(host.Fakes.Folders.Images);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_VM_is_set_renamed_paused_saved_and_its_saved_state_discarded()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        var (status, vm) = await host.SendAsync(HttpMethod.Patch, "/v1/vms/web%201/settings", """{"cpus":3,"notes":"n","automaticStartAction":"Start"}""");
        Assert.Equal((200, 3), (status, vm.GetProperty("settings").GetProperty("cpus").GetInt32()));
        (status, vm) = await host.SendAsync(HttpMethod.Patch, "/v1/vms/web%201/settings", """{"notes":""}""");
        Assert.Equal((200, false, 3), (status, vm.GetProperty("settings").TryGetProperty("notes", out _), vm.GetProperty("settings").GetProperty("cpus").GetInt32()));
        await host.RefusesAsync(HttpMethod.Patch, "/v1/vms/web%201/settings", """{"cpus":0}""", 400, ErrorCode.InvalidRequest);
        await host.RefusesAsync(HttpMethod.Patch, "/v1/vms/web%201/settings", """{"cpu":1}""", 400, ErrorCode.InvalidRequest);
        await host.RefusesAsync(HttpMethod.Patch, "/v1/vms/web%201/settings", """{"automaticStartAction":"Often"}""", 400, ErrorCode.InvalidRequest);
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/web%201/rename", """{"name":"a/b"}""", 400, ErrorCode.InvalidRequest);
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/web%201/pause", null, 409, ErrorCode.WrongState);
        Assert.Equal("www", (await host.PostAsync("/v1/vms/web%201/rename", """{"name":"www"}""")).Body.GetProperty("name").GetString());
        await host.PostAsync("/v1/vms/www/start");
        await host.RefusesAsync(HttpMethod.Patch, "/v1/vms/www/settings", """{"memory":134217728}""", 409, ErrorCode.WrongState);
        Assert.Equal("Paused", (await host.PostAsync("/v1/vms/www/pause")).Body.GetProperty("state").GetString());
        Assert.Equal("Running", (await host.PostAsync("/v1/vms/www/resume")).Body.GetProperty("state").GetString());
        Assert.Equal("Running", (await host.PostAsync("/v1/vms/www/reset")).Body.GetProperty("state").GetString());
        (status, var job) = await host.PostAsync("/v1/vms/www/save");
        Assert.Equal((202, "save"), (status, job.GetProperty("kind").GetString()));
        while ((await host.GetAsync($"/v1/jobs/{job.GetProperty("id").GetString()}")).Body.GetProperty("state").GetString() != "Succeeded")
            await Task.Delay(20, Token);
        vm = (await host.GetAsync("/v1/vms/www")).Body;
        Assert.Equal("Saved", vm.GetProperty("state").GetString());
        Assert.EndsWith(".state", vm.GetProperty("savedState").GetProperty("file").GetString(), StringComparison.Ordinal);
        Assert.Equal("Off", (await host.SendAsync(HttpMethod.Delete, "/v1/vms/www/saved-state")).Body.GetProperty("state").GetString());
        await host.RefusesAsync(HttpMethod.Delete, "/v1/vms/www/saved-state", null, 409, ErrorCode.WrongState);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_VM_of_generation_2_has_its_drives_on_SCSI_and_discs_come_and_go()
    {
        await using var host = await RestHost.StartAsync();
        host.Fakes.Folders.AddFile("/src/d.iso");
        var (status, vm) = await host.PostAsync(
            "/v1/vms", """{"name":"u","generation":2,"settings":{"bootOrder":["dvd0"]},"disks":[{"path":"/src/a.vhdx","size":1048576}],"dvdDrives":[{}]}""");
        Assert.Equal((201, 2), (status, vm.GetProperty("generation").GetInt32()));
        var disk = vm.GetProperty("disks")[0];
        Assert.Equal(("Scsi", 0, 0), (
            disk.GetProperty("controllerType").GetString(), disk.GetProperty("controllerNumber").GetInt32(), disk.GetProperty("controllerLocation").GetInt32()));
        Assert.Equal(1, vm.GetProperty("dvdDrives")[0].GetProperty("controllerLocation").GetInt32());
        (status, vm) = await host.SendAsync(HttpMethod.Put, "/v1/vms/u/dvd-drives/dvd0", """{"path":"/src/d.iso"}""");
        Assert.Equal((200, "/src/d.iso"), (status, vm.GetProperty("dvdDrives")[0].GetProperty("path").GetString()));
        (_, vm) = await host.SendAsync(HttpMethod.Put, "/v1/vms/u/dvd-drives/dvd0", "{}");
        Assert.False(vm.GetProperty("dvdDrives")[0].TryGetProperty("path", out _));
        await host.RefusesAsync(HttpMethod.Put, "/v1/vms/u/dvd-drives/dvd7", "{}", 404, ErrorCode.NotFound);
        await host.RefusesAsync(HttpMethod.Put, "/v1/vms/u/dvd-drives/dvd0", """{"path":"/denied/x.iso"}""", 403, ErrorCode.AccessDenied);
        await host.RefusesAsync(HttpMethod.Patch, "/v1/vms/u/settings", """{"bootOrder":["disk7"]}""", 400, ErrorCode.InvalidRequest);
        host.Fakes.Runtime.HasFirmware = false;
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms", """{"name":"v","generation":2,"settings":{},"disks":[],"dvdDrives":[{}]}""", 501, ErrorCode.Unsupported);
    }

    [Fact(Timeout = 30_000)]
    public async Task What_disks_have_done_is_told_as_JSON_and_to_Prometheus()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        Assert.Equal("[]", (await host.GetAsync("/v1/statistics")).Body.GetRawText());
        await host.PostAsync("/v1/vms/web%201/start");
        var (status, vms) = await host.GetAsync("/v1/statistics");
        Assert.Equal((200, "web 1"), (status, vms[0].GetProperty("name").GetString()));
        Assert.Equal(40960, vms[0].GetProperty("disks")[0].GetProperty("statistics").GetProperty("reads").GetProperty("bytes").GetInt64());
        var text = await host.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Contains("# TYPE godwit_disk_latency_seconds histogram\n", text, StringComparison.Ordinal);
        var disk = vms[0].GetProperty("disks")[0].GetProperty("name").GetString();
        foreach (var line in new[]
        {
            "godwit_disk_requests_total{L,operation=\"read\"} 10",
            "godwit_disk_errors_total{L,operation=\"write\"} 1",
            "godwit_disk_latency_seconds_bucket{L,operation=\"read\",le=\"0.0001\"} 0",
            "godwit_disk_latency_seconds_bucket{L,operation=\"read\",le=\"0.00025\"} 9",
            "godwit_disk_latency_seconds_bucket{L,operation=\"read\",le=\"+Inf\"} 10",
            "godwit_disk_latency_seconds_sum{L,operation=\"read\"} 0.002",
            "godwit_disk_latency_seconds_count{L,operation=\"read\"} 10",
            "godwit_disk_below_minimum{L} 0",
        })
        {
            Assert.Contains(line.Replace("L", $"vm=\"web 1\",disk=\"{disk}\"", StringComparison.Ordinal) + "\n", text, StringComparison.Ordinal);
        }
    }

    [Theory(Timeout = 30_000)]
    [InlineData("..")]
    [InlineData("%2E%2E")]
    [InlineData(".%2e")]
    [InlineData("x/../..")]
    [InlineData("%2e")]
    public async Task Dots_in_a_path_make_no_other_request_of_it(string name)
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        using var request = new HttpRequestMessage(
            HttpMethod.Delete,
            new Uri("http://godwit/v1/vms/web%201/checkpoints/" + name, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        using var answer = await host.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(400, (int)answer.StatusCode);
        Assert.Equal(200, (await host.GetAsync("/v1/vms/web%201")).Status);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_of_a_running_VM_is_limited()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        var disk = (await host.GetAsync("/v1/vms/web%201")).Body.GetProperty("disks")[0].GetProperty("name").GetString();
        var path = $"/v1/vms/web%201/disks/{disk}/limits";
        await host.RefusesAsync(HttpMethod.Put, path, """{"requestsPerSecond":5}""", 409, ErrorCode.WrongState);
        await host.PostAsync("/v1/vms/web%201/start");
        var (status, limits) = await host.SendAsync(HttpMethod.Put, path, """{"requestsPerSecond":5}""");
        Assert.Equal((200, 5), (status, limits.GetProperty("requestsPerSecond").GetInt64()));
        (status, limits) = await host.SendAsync(HttpMethod.Put, path, "{}");
        Assert.Equal((200, "{}"), (status, limits.GetRawText()));
        await host.RefusesAsync(HttpMethod.Put, "/v1/vms/web%201/disks/none/limits", "{}", 404, ErrorCode.NotFound);
        await host.RefusesAsync(HttpMethod.Put, "/v1/vms/none/disks/none/limits", "{}", 404, ErrorCode.NotFound);
    }

    [Fact(Timeout = 30_000)]
    public async Task Points_of_a_disk_are_taken_listed_and_forgotten()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        var disk = (await host.GetAsync("/v1/vms/web%201")).Body.GetProperty("disks")[0].GetProperty("name").GetString();
        var path = $"/v1/vms/web%201/disks/{disk}/points";
        await host.RefusesAsync(HttpMethod.Get, path, null, 409, ErrorCode.WrongState);
        await host.PostAsync("/v1/vms/web%201/start");
        Assert.Equal((200, 0), await CountAsync());
        var (status, point) = await host.PostAsync(path, """{"name":"monday"}""");
        Assert.Equal((201, "monday", 4096), (status, point.GetProperty("name").GetString(), point.GetProperty("changedBytes").GetInt64()));
        await host.RefusesAsync(HttpMethod.Post, path, """{"name":"monday"}""", 409, ErrorCode.AlreadyExists);
        Assert.Equal((200, 1), await CountAsync());
        await host.RefusesAsync(HttpMethod.Delete, path + "/tuesday", null, 404, ErrorCode.NotFound);
        Assert.Equal(204, (await host.SendAsync(HttpMethod.Delete, path + "/monday")).Status);
        Assert.Equal((200, 0), await CountAsync());
        await host.RefusesAsync(HttpMethod.Get, "/v1/vms/web%201/disks/none/points", null, 404, ErrorCode.NotFound);

        async Task<(int, int)> CountAsync()
        {
            var (code, list) = await host.GetAsync(path);
            return (code, list.GetArrayLength());
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task The_worker_of_a_running_VM_is_restarted()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/web%201/restart-worker", null, 409, ErrorCode.WrongState);
        await host.PostAsync("/v1/vms/web%201/start");
        var before = (await host.GetAsync("/v1/vms/web%201")).Body.GetProperty("workerProcessId").GetInt32();
        var (status, vm) = await host.SendAsync(HttpMethod.Post, "/v1/vms/web%201/restart-worker", null);
        Assert.Equal(200, status);
        Assert.NotEqual(before, vm.GetProperty("workerProcessId").GetInt32());
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/none/restart-worker", null, 404, ErrorCode.NotFound);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_storage_move_is_planned_accepted_watched_and_listed()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        await host.PostAsync("/v1/vms/web%201/start");
        var (status, plan) = await host.PostAsync("/v1/vms/web%201/storage-moves", """{"destination":"/dst/x","dryRun":true}""");
        Assert.Equal((200, "/dst/x/a.vhdx"), (status, plan.GetProperty("items")[0].GetProperty("target").GetString()));
        (status, var job) = await host.PostAsync("/v1/vms/web%201/storage-moves", """{"destination":"/dst/x"}""");
        Assert.Equal((202, "move-storage"), (status, job.GetProperty("kind").GetString()));
        var id = job.GetProperty("id").GetGuid();
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/web%201/storage-moves", """{"destination":"/dst/y"}""", 409, ErrorCode.Busy);
        await host.RefusesAsync(HttpMethod.Delete, "/v1/vms/web%201", null, 409, ErrorCode.Busy);
        var seen = await ReadEventsAsync(host, id);
        Assert.Equal(JobState.Succeeded, seen[^1].State);
        Assert.Equal(seen.Count - 1, seen.FindIndex(one => one.HasEnded));
        (status, job) = await host.GetAsync($"/v1/jobs/{id}");
        Assert.Equal((200, 100), (status, job.GetProperty("progress").GetProperty("percent").GetDouble()));
        Assert.Equal(["create", "move-storage"], (await host.GetAsync("/v1/jobs")).Body.EnumerateArray().Select(each => each.GetProperty("kind").GetString()));
        await host.RefusesAsync(HttpMethod.Post, $"/v1/jobs/{id}/cancel", null, 409, ErrorCode.WrongState);
        Assert.Single(await ReadEventsAsync(host, id));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_running_job_is_cancelled()
    {
        await using var host = await RestHost.StartAsync();
        await host.PostAsync("/v1/vms", Spec);
        await host.PostAsync("/v1/vms/web%201/start");
        var (_, job) = await host.PostAsync("/v1/vms/web%201/storage-moves", """{"destination":"/dst/x"}""");
        var id = job.GetProperty("id").GetGuid();
        var (status, _) = await host.PostAsync($"/v1/jobs/{id}/cancel");
        Assert.Equal(200, status);
        Assert.Equal(JobState.Cancelled, (await ReadEventsAsync(host, id))[^1].State);
        Assert.Equal(["/src/a.vhdx"], host.Fakes.Folders.Images);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("GET", "/v1/vms/none", null, 404, ErrorCode.NotFound)]
    [InlineData("DELETE", "/v1/vms/none", null, 404, ErrorCode.NotFound)]
    [InlineData("POST", "/v1/vms/none/start", null, 404, ErrorCode.NotFound)]
    [InlineData("POST", "/v1/vms/none/stop", null, 404, ErrorCode.NotFound)]
    [InlineData("POST", "/v1/vms/none/storage-moves", """{"destination":"/dst"}""", 404, ErrorCode.NotFound)]
    [InlineData("GET", "/v1/jobs/6f9619ff-8b86-d011-b42d-00cf4fc964ff", null, 404, ErrorCode.NotFound)]
    [InlineData("GET", "/v1/jobs/6f9619ff-8b86-d011-b42d-00cf4fc964ff/events", null, 404, ErrorCode.NotFound)]
    [InlineData("POST", "/v1/jobs/6f9619ff-8b86-d011-b42d-00cf4fc964ff/cancel", null, 404, ErrorCode.NotFound)]
    [InlineData("GET", "/v1/jobs/7", null, 404, ErrorCode.NotFound)]
    [InlineData("GET", "/nothing", null, 404, ErrorCode.NotFound)]
    [InlineData("PUT", "/v1/vms", "{}", 405, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", "", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", "null", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", "{", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", "[]", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", "{}", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", """{"name":"a","settings":{"memory":"much"}}""", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", """{"name":"a","settings":{"memory":67108864},"disks":[null]}""", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", """{"name":"a","settings":{"memory":67108864},"disks":[{"path":"/src/b","size":1048576,"format":"Qcow"}]}""", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms", """{"name":"a","settings":{"memory":67108864},"disks":[{"path":"/denied/b","size":1048576}]}""", 403, ErrorCode.AccessDenied)]
    [InlineData("POST", "/v1/vms", """{"name":"vm","settings":{"memory":67108864},"disks":[{"path":"/src/b","size":1048576}]}""", 409, ErrorCode.AlreadyExists)]
    [InlineData("POST", "/v1/vms/vm/start", null, 409, ErrorCode.WrongState)]
    [InlineData("POST", "/v1/vms/vm/stop", """{"timeoutSeconds":-1}""", 400, ErrorCode.InvalidRequest)]
    [InlineData("DELETE", "/v1/vms/vm", null, 409, ErrorCode.WrongState)]
    [InlineData("DELETE", "/v1/vms/vm?deleteDisks=maybe", null, 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms/vm/storage-moves", "{}", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms/vm/storage-moves", """{"destination":"/dst","retainsSource":true}""", 400, ErrorCode.InvalidRequest)]
    [InlineData("POST", "/v1/vms/vm/storage-moves", """{"destination":"/src"}""", 400, ErrorCode.InvalidRequest)]
    public async Task What_is_wrong_is_answered_with_a_problem(string method, string path, string? body, int status, ErrorCode code)
    {
        await using var host = await RestHost.StartAsync();
        await host.Fakes.AddVmAsync();
        await host.RefusesAsync(new HttpMethod(method), path, body, status, code);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_body_that_is_too_large_or_no_JSON_is_refused()
    {
        await using var host = await RestHost.StartAsync();
        var large = $$"""{"name":"{{new string('a', 2 << 20)}}"}""";
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms", large, 413, ErrorCode.InvalidRequest);
        using var form = new StringContent("name=a");
        using var response = await host.Client.PostAsync("/v1/vms", form, Token);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact(Timeout = 30_000)]
    public async Task Worker_and_store_failures_reach_the_caller_in_their_own_words()
    {
        await using var host = await RestHost.StartAsync();
        await host.Fakes.AddVmAsync(running: false);
        host.Fakes.Workers.CannotStart = true;
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/vm/start", null, 503, ErrorCode.Unavailable);
        host.Fakes.Folders.Available = 0;
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/vm/storage-moves", """{"destination":"/dst"}""", 507, ErrorCode.NoSpace);
        host.Fakes.Database.Execute("DROP TABLE vms");
        await host.RefusesAsync(HttpMethod.Get, "/v1/vms", null, 500, ErrorCode.Internal);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_host_describes_itself()
    {
        await using var host = await RestHost.StartAsync();
        await host.Fakes.AddVmAsync();
        var (status, body) = await host.GetAsync("/v1/host");
        Assert.Equal(200, status);
        Assert.Equal("tcg", body.GetProperty("accelerator").GetString());
        Assert.Equal(1, body.GetProperty("runningVirtualMachines").GetInt32());
        Assert.Equal(Environment.ProcessId, body.GetProperty("processId").GetInt32());
    }

    [Fact(Timeout = 30_000)]
    public async Task The_description_names_every_endpoint()
    {
        await using var host = await RestHost.StartAsync();
        var (status, body) = await host.GetAsync("/openapi/v1.json");
        Assert.Equal(200, status);
        var operations = body.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(method => $"{method.Name.ToUpperInvariant()} {path.Name}"));
        Assert.Equal(
            [
                "DELETE /v1/tokens/{name}", "DELETE /v1/vms/{name}", "DELETE /v1/vms/{name}/checkpoints/{checkpoint}", "DELETE /v1/vms/{name}/disks/{disk}/points/{point}",
                "DELETE /v1/vms/{name}/saved-state", "GET /metrics", "GET /v1/audit", "GET /v1/host", "GET /v1/host/certificate",
                "GET /v1/host/checks", "GET /v1/host/join", "GET /v1/jobs", "GET /v1/jobs/{id}", "GET /v1/jobs/{id}/events", "GET /v1/statistics", "GET /v1/tokens",
                "GET /v1/vms", "GET /v1/vms/{name}", "GET /v1/vms/{name}/checkpoints", "GET /v1/vms/{name}/disks/{disk}/points", "PATCH /v1/vms/{name}/settings",
                "POST /v1/host/authority", "POST /v1/host/certificate", "POST /v1/host/join", "POST /v1/host/join-tokens",
                "POST /v1/host/membership", "POST /v1/host/rescan", "POST /v1/host/stop-vms", "POST /v1/jobs/{id}/cancel", "POST /v1/tokens",
                "POST /v1/vms", "POST /v1/vms/{name}/checkpoint-merges", "POST /v1/vms/{name}/checkpoints",
                "POST /v1/vms/{name}/checkpoints/{checkpoint}/apply", "POST /v1/vms/{name}/checkpoints/{checkpoint}/rename",
                "POST /v1/vms/{name}/disks/{disk}/points", "POST /v1/vms/{name}/pause", "POST /v1/vms/{name}/rename",
                "POST /v1/vms/{name}/reset", "POST /v1/vms/{name}/restart-worker", "POST /v1/vms/{name}/resume", "POST /v1/vms/{name}/save",
                "POST /v1/vms/{name}/start", "POST /v1/vms/{name}/stop",
                "POST /v1/vms/{name}/storage-moves", "PUT /v1/vms/{name}/disks/{disk}/limits", "PUT /v1/vms/{name}/dvd-drives/{drive}",
            ],
            operations.Order(StringComparer.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task Socket_and_folders_are_private()
    {
        await using var host = await RestHost.StartAsync();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(host.Folders.Socket));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(host.Options.Run));
    }

    [Fact]
    public void Every_error_code_has_a_status()
    {
        var expected = new Dictionary<ErrorCode, int>
        {
            [ErrorCode.Internal] = 500,
            [ErrorCode.InvalidRequest] = 400,
            [ErrorCode.NotFound] = 404,
            [ErrorCode.AlreadyExists] = 409,
            [ErrorCode.WrongState] = 409,
            [ErrorCode.Busy] = 409,
            [ErrorCode.AccessDenied] = 403,
            [ErrorCode.NoSpace] = 507,
            [ErrorCode.Corrupt] = 422,
            [ErrorCode.Unsupported] = 501,
            [ErrorCode.IoFailed] = 500,
            [ErrorCode.Cancelled] = 409,
            [ErrorCode.Unavailable] = 503,
            [ErrorCode.Unauthenticated] = 401,
            [ErrorCode.Forbidden] = 403,
            [ErrorCode.TooManyRequests] = 429,
        };
        Assert.Equal(Enum.GetValues<ErrorCode>().Order(), expected.Keys.Order());
        Assert.All(expected, pair => Assert.Equal(pair.Value, ProblemStatus.Of(pair.Key)));
    }

    private static async Task<List<Job>> ReadEventsAsync(RestHost host, Guid id)
    {
        using var stream = new StreamReader(await host.Client.GetStreamAsync($"/v1/jobs/{id}/events", Token));
        var jobs = new List<Job>();
        while (await stream.ReadLineAsync(Token) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                jobs.Add(JsonSerializer.Deserialize(line[6..], ApiJson.Default.Job)!);
            else
                Assert.True(line is "" or "event: job", line);
        }
        return jobs;
    }
}
