using System.Net;
using Godwit.Api.Access;
using Godwit.Host.Http;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

public sealed class LimitTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task Who_asks_too_often_is_held_back_and_nobody_else()
    {
        // Nothing comes back within the test: what is one per second is at most 30.
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0), new RequestRates(100, 1, 40, 1));
        using var nobody = host.ConnectRemote();
        Assert.All(await AskAsync(nobody, 40), status => Assert.Equal(HttpStatusCode.Unauthorized, status));
        Assert.Contains(HttpStatusCode.TooManyRequests, await AskAsync(nobody, 40));
        using (var response = await nobody.DeleteAsync("/v1/vms/x", Token))
        {
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized || response.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        }
        using var anna = host.ConnectRemote(host.NewToken("anna", Role.Viewer));
        using var berta = host.ConnectRemote(host.NewToken("berta", Role.Viewer));
        Assert.All(await AskAsync(anna, 100), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Contains(HttpStatusCode.TooManyRequests, await AskAsync(anna, 40));
        Assert.All(await AskAsync(berta, 1), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(200, (await host.GetAsync("/v1/vms")).Status);
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_held_back_does_not_fill_the_audit_log()
    {
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0), new RequestRates(100, 1, 5, 1));
        using var nobody = host.ConnectRemote("wrong");
        for (var i = 0; i < 60; i++)
            (await nobody.DeleteAsync("/v1/vms/x", Token)).Dispose();
        Assert.InRange((await host.GetAsync("/v1/audit")).Body.GetProperty("entries").GetArrayLength(), 5, 40);
    }

    private static async Task<List<HttpStatusCode>> AskAsync(HttpClient client, int times)
    {
        var seen = new List<HttpStatusCode>();
        for (var i = 0; i < times; i++)
        {
            using var response = await client.GetAsync("/v1/vms", Token);
            seen.Add(response.StatusCode);
        }
        return seen;
    }
}
