using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.Host;
using Godwit.Host.Certificates;
using Godwit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>The network side of godwitd: TLS 1.3, who is let in, and certificates that change while it runs.</summary>
public sealed class NetworkTests
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task Without_a_certificate_nothing_is_served()
    {
        await using var host = await RestHost.StartAsync();
        var e = Assert.Throws<GodwitException>(() => HostApplication.Build(
            host.Options with { Listen = AnyPort }, host.Folders, host.Fakes.Database, host.Fakes.Parts, host.Accelerators, TimeProvider.System));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        Assert.Contains("godwit host init", e.Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Plain_HTTP_is_not_answered()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, host.RemoteAddress.Port, Token);
        await socket.SendAsync(Encoding.ASCII.GetBytes("GET /v1/vms HTTP/1.1\r\nHost: x\r\n\r\n"), Token);
        var answer = new byte[1000];
        var length = 0;
        try
        {
            length = await socket.ReceiveAsync(answer, Token);
        }
        catch (SocketException)
        {
            // Cut off: as good as no answer.
        }
        Assert.DoesNotContain("HTTP", Encoding.Latin1.GetString(answer, 0, length), StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Only_TLS_1_3_is_spoken()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        var secret = host.NewToken("a", Role.Viewer);
        using var old = host.ConnectRemote(secret, tls => tls.EnabledSslProtocols = SslProtocols.Tls12);
        await Assert.ThrowsAsync<HttpRequestException>(() => old.GetAsync("/v1/vms", Token));
        using var current = host.ConnectRemote(secret, tls => tls.EnabledSslProtocols = SslProtocols.Tls13);
        Assert.Equal(HttpStatusCode.OK, (await current.GetAsync("/v1/vms", Token)).StatusCode);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_certificate_of_the_authority_is_a_host_and_any_other_is_shown_the_door()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        await host.Fakes.AddVmAsync(running: false);
        using var own = X509Certificate2.CreateFromPemFile(
            Path.Combine(host.Folders.Certificates, "client-cert.pem"), Path.Combine(host.Folders.Certificates, "client-key.pem"));
        using (var peer = host.ConnectRemote(null, tls => tls.ClientCertificates = [own]))
            Assert.Equal(200, (await RestHost.SendAsync(peer, HttpMethod.Post, "/v1/vms/vm/start")).Status);
        var entry = (await host.GetAsync("/v1/audit")).Body.GetProperty("entries")[0];
        Assert.Equal(("host:" + Environment.MachineName, "Certificate"), (entry.GetProperty("caller").GetString(), entry.GetProperty("origin").GetString()));

        using var stranger = new TestAuthority();
        var (certificate, key) = stranger.Issue(Environment.MachineName, forServer: false);
        using var foreign = X509Certificate2.CreateFromPem(certificate, key);
        // Not even with a good token: who shows a certificate is asked whose it is.
        using var client = host.ConnectRemote(host.NewToken("a", Role.Administrator), tls => tls.ClientCertificateContext = SslStreamCertificateContext.Create(foreign, null, offline: true));
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetAsync("/v1/vms", Token));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_renewed_certificate_is_shown_to_new_connections_while_old_ones_go_on()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        var seen = new List<string>();
        var secret = host.NewToken("a", Role.Administrator);
        using var before = Connect();
        Assert.Equal(200, (await RestHost.SendAsync(before, HttpMethod.Get, "/v1/vms")).Status);
        var (status, renewed) = await RestHost.SendAsync(before, HttpMethod.Post, "/v1/host/certificate", "{}");
        Assert.Equal(200, status);
        Assert.Equal(200, (await RestHost.SendAsync(before, HttpMethod.Get, "/v1/vms")).Status);
        Assert.Single(seen);
        using var after = Connect();
        Assert.Equal(200, (await RestHost.SendAsync(after, HttpMethod.Get, "/v1/vms")).Status);
        Assert.Equal(renewed.GetProperty("fingerprint").GetString(), seen[1]);
        Assert.NotEqual(seen[0], seen[1]);

        HttpClient Connect() => host.ConnectRemote(secret, tls => tls.RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
        {
            seen.Add(HostCertificates.Fingerprint((X509Certificate2)certificate!));
            return errors == SslPolicyErrors.None;
        });
    }

    [Fact(Timeout = 30_000)]
    public async Task A_certificate_near_its_end_is_renewed_at_the_start()
    {
        var made = TimeProvider.System.GetUtcNow().AddDays(-300);
        await using var host = await RestHost.StartAsync(AnyPort, authorityTime: new FakeTimeProvider(made));
        DateTimeOffset end;
        while ((end = (await host.GetAsync("/v1/host/certificate")).Body.GetProperty("notAfter").GetDateTimeOffset()) < made.AddDays(400))
            await Task.Delay(20, Token);
        Assert.Equal(TimeProvider.System.GetUtcNow().AddDays(365), end, TimeSpan.FromMinutes(10));
        using var client = host.ConnectRemote(host.NewToken("a", Role.Viewer));
        Assert.Equal(200, (await RestHost.SendAsync(client, HttpMethod.Get, "/v1/vms")).Status);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_client_pins_the_authority()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        using var stranger = new TestAuthority();
        var address = GodwitAddress.Parse(host.RemoteAddress.ToString());
        var secret = host.NewToken("a", Role.Viewer);
        using (var client = new GodwitClient(address, secret, TimeProvider.System, [host.App.Services.GetRequiredService<HostCertificates>().Require().Authority]))
            Assert.Empty(await client.ListVirtualMachinesAsync(Token));
        using (var client = new GodwitClient(address, secret, TimeProvider.System, [X509Certificate2.CreateFromPem(stranger.Pem)]))
            Assert.Equal(ErrorCode.Unauthenticated, (await Assert.ThrowsAsync<GodwitException>(() => client.ListVirtualMachinesAsync(Token))).Problem.Code);
        Assert.Throws<GodwitException>(() => new GodwitClient(address, secret, TimeProvider.System));
    }

    [Fact(Timeout = 30_000)]
    public async Task The_command_line_goes_over_the_network_with_authority_and_token_from_files()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        var token = Path.Combine(host.Options.State, "anna.token");
        await File.WriteAllTextAsync(token, host.NewToken("anna", Role.Viewer) + "\n", Token);
        var address = host.RemoteAddress.ToString();
        using (var run = new Cli.CliRun { Variables = new() { ["GODWIT_TOKEN_FILE"] = token } })
        {
            var shown = await run.RunAsync("vm", "list", "--host", address, "--ca", Path.Combine(host.Folders.Certificates, "ca-cert.pem"));
            Assert.True(shown.Code == 0, shown.Error);
        }
        using var refused = new Cli.CliRun
        {
            Variables = new() { ["GODWIT_TOKEN_FILE"] = token, ["GODWIT_HOST"] = address, ["GODWIT_CA"] = Path.Combine(host.Folders.Certificates, "ca-cert.pem") },
        };
        var result = await refused.RunAsync("vm", "remove", "vm");
        Assert.Equal(1, result.Code);
        Assert.Contains("This takes the role Administrator; token:anna has Viewer.", result.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_authority_is_set_up_over_the_socket_once()
    {
        await using var host = await RestHost.StartAsync();
        await host.RefusesAsync(HttpMethod.Get, "/v1/host/certificate", null, 409, ErrorCode.WrongState);
        await host.RefusesAsync(HttpMethod.Post, "/v1/host/certificate", "{}", 409, ErrorCode.WrongState);
        await host.RefusesAsync(HttpMethod.Post, "/v1/host/authority", """{"names":["a b"]}""", 400, ErrorCode.InvalidRequest);
        using (var run = new Cli.CliRun { Variables = new() { ["GODWIT_HOST"] = "unix:" + host.Folders.Socket } })
        {
            var made = await run.RunAsync("host", "init", "--name", "h1.example", "--name", "192.0.2.7");
            Assert.Contains("h1.example, 192.0.2.7", made.Out, StringComparison.Ordinal);
            Assert.Contains("(this host)", made.Out, StringComparison.Ordinal);
        }
        await host.RefusesAsync(HttpMethod.Post, "/v1/host/authority", "{}", 409, ErrorCode.AlreadyExists);
        Assert.Equal(host.Folders.Certificates, (await host.GetAsync("/v1/host/certificate")).Body.GetProperty("folder").GetString());
    }
}
