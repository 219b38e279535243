using System.Net;
using System.Net.Sockets;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.Host.Access;
using Godwit.Host.Interop;
using Microsoft.AspNetCore.Routing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>Who may do what: every endpoint, every role, and nobody.</summary>
public sealed class RoleTests
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task Every_endpoint_has_a_role_and_every_change_takes_more_than_a_viewer()
    {
        await using var host = await RestHost.StartAsync();
        var endpoints = Endpoints(host).ToList();
        Assert.True(endpoints.Count > 20);
        var open = endpoints.Where(one => EndpointRoles.IsOpen(one.Method, EndpointRoles.PatternOf(one.Endpoint))).ToList();
        Assert.Equal(["GET /v1/host/join", "POST /v1/host/join"], open.Select(one => $"{one.Method} {EndpointRoles.PatternOf(one.Endpoint)}").Order(StringComparer.Ordinal));
        endpoints = [.. endpoints.Except(open)];
        Assert.All(endpoints, one => Assert.NotNull(EndpointRoles.Of(one.Method, EndpointRoles.PatternOf(one.Endpoint))));
        Assert.All(
            endpoints.Where(one => one.Method != "GET"), one => Assert.True(EndpointRoles.Of(one.Method, EndpointRoles.PatternOf(one.Endpoint)) > Role.Viewer, one.ToString()));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_viewers_token_changes_nothing_and_an_operators_only_what_is_his()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        await host.Fakes.AddVmAsync();
        using var viewer = host.ConnectRemote(host.NewToken("eyes", Role.Viewer));
        using var runner = host.ConnectRemote(host.NewToken("hands", Role.Operator));
        using var nobody = host.ConnectRemote();
        var before = await StateAsync(host);
        foreach (var (endpoint, method) in Endpoints(host).Where(one => one.Method != "GET" && !EndpointRoles.IsOpen(one.Method, EndpointRoles.PatternOf(one.Endpoint))))
        {
            var path = EndpointRoles.PatternOf(endpoint).Replace("{name}", "vm", StringComparison.Ordinal)
                .Replace("{id:guid}", Guid.NewGuid().ToString(), StringComparison.Ordinal);
            await RefusedAsync(viewer, method, path, 403, ErrorCode.Forbidden);
            await RefusedAsync(nobody, method, path, 401, ErrorCode.Unauthenticated);
            if (EndpointRoles.Of(method, EndpointRoles.PatternOf(endpoint)) > Role.Operator)
                await RefusedAsync(runner, method, path, 403, ErrorCode.Forbidden);
        }
        Assert.Equal(before, await StateAsync(host));
        Assert.Equal(200, (await RestHost.SendAsync(viewer, HttpMethod.Get, "/v1/vms")).Status);
        await RefusedAsync(viewer, "GET", "/v1/tokens", 403, ErrorCode.Forbidden);
        await RefusedAsync(viewer, "GET", "/v1/audit", 403, ErrorCode.Forbidden);
        Assert.Equal(200, (await RestHost.SendAsync(runner, HttpMethod.Post, "/v1/vms/vm/stop")).Status);
        await RefusedAsync(viewer, "POST", "/v1/vms/vm/start", 403, ErrorCode.Forbidden);
        using var all = host.ConnectRemote(host.NewToken("all", Role.Administrator));
        Assert.Equal(204, (await RestHost.SendAsync(all, HttpMethod.Delete, "/v1/vms/vm")).Status);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("/v1/vms"), InlineData("/openapi/v1.json"), InlineData("/metrics"), InlineData("/nothing"), InlineData("/v1/jobs/7")]
    public async Task Nobody_learns_anything(string path)
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        foreach (var secret in new[] { null, "", "godwit_", host.NewToken("a", Role.Viewer)[..^1], host.NewToken("b", Role.Viewer) + "x" })
        {
            using var client = host.ConnectRemote(secret);
            using var response = await client.GetAsync(path, Token);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
        }
    }

    [Fact]
    public void Root_and_the_daemons_own_user_may_everything_locally_and_others_nothing()
    {
        Assert.Equal(new Caller("user:root", Role.Administrator, CallerOrigin.UnixSocket), LocalCallers.Of(0, 4000));
        Assert.Equal(Role.Administrator, LocalCallers.Of(4000, 4000).Role);
        Assert.Equal(new Caller("user:4001", null, CallerOrigin.UnixSocket), LocalCallers.Of(4001, 4000));
        Assert.Equal("root", UnixUsers.NameOf(0));
        Assert.Equal("3999999999", UnixUsers.NameOf(3_999_999_999));
    }

    /// <summary>The kernel's word, not the file system's: the socket and its folders are open to everybody here.</summary>
    [Fact(Timeout = 30_000)]
    public async Task Another_user_on_the_unix_socket_is_told_that_it_may_not()
    {
        Assert.SkipUnless(UnixUsers.Own == 0, "only root can be another user");
        await using var host = await RestHost.StartAsync();
        const UnixFileMode Everybody = (UnixFileMode)0x1FF;
        for (var folder = host.Options.Run; folder.Contains("godwit-rest-", StringComparison.Ordinal); folder = Path.GetDirectoryName(folder)!)
            File.SetUnixFileMode(folder, Everybody);
        File.SetUnixFileMode(host.Folders.Socket, Everybody);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var connected = false;
        var thread = new Thread(() =>
        {
            Assert.Equal(0, Interop.LibC.ActAs(65534));
            socket.Connect(new UnixDomainSocketEndPoint(host.Folders.Socket));
            connected = true;
        });
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromSeconds(10)) && connected);
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = (_, _) => new ValueTask<Stream>(new NetworkStream(socket, ownsSocket: true)),
        })
        {
            BaseAddress = new Uri("http://godwit"),
        };
        await RefusedAsync(client, "GET", "/v1/vms", 403, ErrorCode.Forbidden);
        await RefusedAsync(client, "POST", "/v1/vms", 403, ErrorCode.Forbidden);
        var entry = (await host.GetAsync("/v1/audit")).Body.GetProperty("entries")[0];
        Assert.Equal(("user:65534", 403), (entry.GetProperty("caller").GetString(), entry.GetProperty("status").GetInt32()));
    }

    private static async Task RefusedAsync(HttpClient client, string method, string path, int status, ErrorCode code)
    {
        var answer = await RestHost.SendAsync(client, new HttpMethod(method), path, method is "POST" or "PUT" ? "{}" : null);
        Assert.True(status == answer.Status && answer.Body.GetProperty("code").GetString() == code.ToString(), $"{method} {path}: {answer}");
    }

    private static async Task<string> StateAsync(RestHost host)
    {
        var parts = new List<string>();
        foreach (var path in new[] { "/v1/vms", "/v1/jobs", "/v1/host" })
            parts.Add((await host.GetAsync(path)).Body.GetRawText());
        var tokens = (await host.GetAsync("/v1/tokens")).Body.EnumerateArray().Select(token => token.GetProperty("name").GetString());
        return string.Join('\n', parts.Concat(tokens));
    }

    private static IEnumerable<(RouteEndpoint Endpoint, string Method)> Endpoints(RestHost host) =>
        ((IEndpointRouteBuilder)host.App).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
        .SelectMany(endpoint => endpoint.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods.Select(method => (endpoint, method)));
}
