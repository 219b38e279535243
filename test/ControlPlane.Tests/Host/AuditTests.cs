using System.Net;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Store;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

public sealed class AuditTests
{
    private static readonly AuditEntry Entry = new(
        0, DateTimeOffset.UnixEpoch, "user:root", Role.Administrator, CallerOrigin.UnixSocket, null, "POST", "/v1/vms", "/v1/vms", null, null, "r");

    [Fact(Timeout = 30_000)]
    public async Task Every_change_is_there_with_who_what_when_and_result()
    {
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
        await host.Fakes.AddVmAsync();
        using var viewer = host.ConnectRemote(host.NewToken("eyes", Role.Viewer));
        await host.GetAsync("/v1/vms");
        await host.PostAsync("/v1/vms/vm/stop");
        await host.SendAsync(HttpMethod.Delete, "/v1/vms/none%20such?force=true");
        await host.PostAsync("/nothing");
        await RestHost.SendAsync(viewer, HttpMethod.Post, "/v1/vms/vm/start");
        using var nobody = host.ConnectRemote("wrong");
        await RestHost.SendAsync(nobody, HttpMethod.Delete, "/v1/vms/vm");
        Assert.Equal(
            [
                " Unknown 127.0.0.1 DELETE /v1/vms/{name} /v1/vms/vm 401 Unauthenticated",
                "token:eyes Token 127.0.0.1 POST /v1/vms/{name}/start /v1/vms/vm/start 403 Forbidden",
                "user:root UnixSocket - POST - /nothing 404 NotFound",
                "user:root UnixSocket - DELETE /v1/vms/{name} /v1/vms/none%20such?force=true 404 NotFound",
                "user:root UnixSocket - POST /v1/vms/{name}/stop /v1/vms/vm/stop 200 -",
            ],
            (await PageAsync(host, "")).Entries.Select(Text));
        Assert.Equal(5, (await PageAsync(host, "")).Entries.Select(entry => entry.RequestId).Distinct().Count());
        Assert.All((await PageAsync(host, "")).Entries, entry => Assert.InRange(TimeProvider.System.GetUtcNow() - entry.Time, TimeSpan.FromSeconds(-1), TimeSpan.FromMinutes(1)));
    }

    [Fact(Timeout = 30_000)]
    public async Task The_log_is_read_page_by_page()
    {
        await using var host = await RestHost.StartAsync();
        for (var i = 0; i < 5; i++)
            await host.SendAsync(HttpMethod.Delete, $"/v1/vms/v{i}");
        var first = await PageAsync(host, "?limit=2");
        Assert.Equal(["/v1/vms/v4", "/v1/vms/v3"], first.Entries.Select(entry => entry.Target));
        // What comes meanwhile does not move the pages behind.
        await host.SendAsync(HttpMethod.Delete, "/v1/vms/new");
        var second = await PageAsync(host, $"?limit=2&after={first.Next}");
        Assert.Equal(["/v1/vms/v2", "/v1/vms/v1"], second.Entries.Select(entry => entry.Target));
        var last = await PageAsync(host, $"?limit=2&after={second.Next}");
        Assert.Equal(["/v1/vms/v0"], last.Entries.Select(entry => entry.Target));
        Assert.Null(last.Next);
        foreach (var query in new[] { "limit=0", "limit=1001", "limit=x", "after=x" })
            await host.RefusesAsync(HttpMethod.Get, "/v1/audit?" + query, null, 400, ErrorCode.InvalidRequest);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_change_that_cannot_be_written_down_is_not_made()
    {
        await using var host = await RestHost.StartAsync();
        await host.Fakes.AddVmAsync(running: false);
        host.Fakes.Database.Execute("ALTER TABLE audit RENAME TO gone");
        await host.RefusesAsync(HttpMethod.Post, "/v1/vms/vm/start", null, 500, ErrorCode.Internal);
        host.Fakes.Database.Execute("ALTER TABLE gone RENAME TO audit");
        Assert.Equal("Off", (await host.GetAsync("/v1/vms/vm")).Body.GetProperty("state").GetString());
    }

    [Fact]
    public void A_change_in_the_middle_of_which_the_daemon_was_killed_is_there_without_a_result()
    {
        var folder = Directory.CreateTempSubdirectory("godwit-audit-").FullName;
        try
        {
            using (var database = Database.Open(Path.Combine(folder, "godwit.db")))
                new AuditLog(database).Add(Entry, refused: false);
            using var again = Database.Open(Path.Combine(folder, "godwit.db"));
            Assert.Equal(Entry with { Number = 1 }, Assert.Single(new AuditLog(again).Read(10, null).Entries));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Fact]
    public void The_log_is_bounded_and_refusals_push_out_no_change()
    {
        using var database = Database.Open(":memory:");
        var log = new AuditLog(database, keep: 100, keepRefused: 10);
        for (var i = 0; i < 200; i++)
            log.Complete(log.Add(Entry with { Target = $"/done/{i}" }, refused: false), 200, null);
        for (var i = 0; i < 500; i++)
            log.Add(Entry with { Target = $"/refused/{i}", Status = 403, Code = ErrorCode.Forbidden }, refused: true);
        var left = log.Read(1000, null).Entries;
        Assert.Equal(100, left.Count(entry => entry.Target.StartsWith("/done/", StringComparison.Ordinal)));
        Assert.InRange(left.Count(entry => entry.Target.StartsWith("/refused/", StringComparison.Ordinal)), 10, 74);
        Assert.Equal("/refused/499", left[0].Target);
        Assert.Equal("/done/100", left[^1].Target);
    }

    [Fact]
    public void A_long_target_is_cut()
    {
        using var database = Database.Open(":memory:");
        var log = new AuditLog(database);
        log.Add(Entry with { Target = new string('x', 5000) }, refused: true);
        Assert.Equal(1000, Assert.Single(log.Read(1, null).Entries).Target.Length);
    }

    private static string Text(AuditEntry entry) =>
        $"{entry.Caller} {entry.Origin} {entry.Address ?? "-"} {entry.Method} {entry.Route ?? "-"} {entry.Target} {entry.Status} {entry.Code?.ToString() ?? "-"}";

    private static async Task<AuditPage> PageAsync(RestHost host, string query) =>
        JsonSerializer.Deserialize((await host.GetAsync("/v1/audit" + query)).Body, ApiJson.Default.AuditPage)!;
}
