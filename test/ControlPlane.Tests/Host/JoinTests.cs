using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Store;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>How a host gets its certificate from another.</summary>
public sealed class JoinTests
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_host_joins_with_the_command_line_and_is_known_to_the_other_from_then_on()
    {
        await using var first = await RestHost.StartAsync(AnyPort);
        await using var second = await RestHost.StartAsync();
        await first.Fakes.AddVmAsync(running: false);
        var made = await RunAsync(first, "host", "token", "h2", "--name", "h2.example", "--name", "192.0.2.8", "--json");
        var token = JsonSerializer.Deserialize(made.Out, ApiJson.Default.JoinToken)!;
        var file = Path.Combine(second.Options.State, "join.token");
        await File.WriteAllTextAsync(file, token.Secret + "\n", Token);
        string[] join = ["host", "join", first.RemoteAddress.Authority, "--token-file", file, "--ca-fingerprint", token.AuthorityFingerprint.ToUpperInvariant()];
        var joined = await RunAsync(second, join);
        Assert.True(joined.Code == 0, joined.Error);
        Assert.Contains("h2.example, 192.0.2.8", joined.Out, StringComparison.Ordinal);
        var card = (await second.GetAsync("/v1/host/certificate")).Body;
        Assert.Equal(("h2", false, first.Authority), (card.GetProperty("host").GetString(), card.GetProperty("isAuthority").GetBoolean(), card.GetProperty("authorityFingerprint").GetString()));

        using var own = X509Certificate2.CreateFromPemFile(
            Path.Combine(second.Folders.Certificates, "client-cert.pem"), Path.Combine(second.Folders.Certificates, "client-key.pem"));
        using var peer = first.ConnectRemote(null, tls => tls.ClientCertificates = [own]);
        Assert.Equal(200, (await RestHost.SendAsync(peer, HttpMethod.Post, "/v1/vms/vm/start")).Status);
        var audit = JsonSerializer.Deserialize((await first.GetAsync("/v1/audit")).Body, ApiJson.Default.AuditPage)!.Entries;
        Assert.Equal(["host:h2", "join:h2", "user:root"], audit.Select(entry => entry.Caller.Replace("user:" + Environment.UserName, "user:root", StringComparison.Ordinal)));

        // Again with the same token: it is used up, and the certificate that is there stays.
        var replay = await RunAsync(second, join);
        Assert.Equal(1, replay.Code);
        Assert.Contains("unknown, used or has expired", replay.Error, StringComparison.Ordinal);
        Assert.Equal(card.GetProperty("fingerprint").GetString(), (await second.GetAsync("/v1/host/certificate")).Body.GetProperty("fingerprint").GetString());
        // What it cannot do with another's authority.
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/certificate", "{}", 501, ErrorCode.Unsupported);
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/join-tokens", """{"host":"h3"}""", 409, ErrorCode.WrongState);
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/authority", "{}", 409, ErrorCode.AlreadyExists);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_host_with_another_fingerprint_gets_no_token_to_see()
    {
        await using var first = await RestHost.StartAsync(AnyPort);
        await using var second = await RestHost.StartAsync();
        var secret = (await first.PostAsync("/v1/host/join-tokens", """{"host":"h2"}""")).Body.GetProperty("secret").GetString();
        string Spec(string address, string fingerprint) => $$"""{"address":"{{address}}","token":"{{secret}}","authorityFingerprint":"{{fingerprint}}"}""";
        var there = first.RemoteAddress.Authority;
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec(there, new string('0', 64)), 401, ErrorCode.Unauthenticated);
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec(there, "12"), 400, ErrorCode.InvalidRequest);
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec("a/b", first.Authority), 400, ErrorCode.InvalidRequest);
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec("127.0.0.1:1", first.Authority), 503, ErrorCode.Unavailable);
        // The certificate there is for 127.0.0.1 and localhost alone.
        await second.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec($"127.0.0.2:{first.RemoteAddress.Port}", first.Authority), 503, ErrorCode.Unavailable);
        await first.RefusesAsync(HttpMethod.Post, "/v1/host/membership", Spec(there, first.Authority), 409, ErrorCode.WrongState);
        await second.RefusesAsync(HttpMethod.Get, "/v1/host/certificate", null, 409, ErrorCode.WrongState);
        // It was not used up by any of them.
        Assert.Equal(200, (await second.PostAsync("/v1/host/membership", Spec(there, first.Authority))).Status);
    }

    [Fact(Timeout = 60_000)]
    public async Task Only_a_signed_request_with_a_good_token_is_signed()
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        using var nobody = host.ConnectRemote();
        var secret = (await host.PostAsync("/v1/host/join-tokens", """{"host":"h2"}""")).Body.GetProperty("secret").GetString()!;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var large = ECDsa.Create(ECCurve.NamedCurves.nistP521);
        using var rsa = RSA.Create(2048);
        var good = new CertificateRequest("CN=administrator", key, HashAlgorithmName.SHA256);
        good.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var broken = good.CreateSigningRequest();
        broken[^5] ^= 1;
        string[] unsound =
        [
            "", "x", PemEncoding.WriteString("CERTIFICATE REQUEST", broken), new CertificateRequest("CN=a", large, HashAlgorithmName.SHA256).CreateSigningRequestPem(),
            new CertificateRequest("CN=a", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequestPem(), new string('x', 10_000),
        ];
        foreach (var request in unsound)
            Assert.Equal(400, (await AskAsync(secret, request)).Status);
        Assert.Equal(403, (await AskAsync(secret[..^1], good.CreateSigningRequestPem())).Status);
        Assert.Equal(403, (await AskAsync("", good.CreateSigningRequestPem())).Status);
        var (status, body) = await AskAsync(secret, good.CreateSigningRequestPem());
        Assert.Equal(200, status);
        // Of what the request wished for there is nothing in it.
        using var certificate = X509Certificate2.CreateFromPem(body.GetProperty("certificate").GetString());
        Assert.Equal("CN=h2", certificate.Subject);
        Assert.False(Assert.Single(certificate.Extensions.OfType<X509BasicConstraintsExtension>()).CertificateAuthority);
        Assert.Equal(403, (await AskAsync(secret, good.CreateSigningRequestPem())).Status);

        Task<(int Status, JsonElement Body)> AskAsync(string token, string request) => RestHost.SendAsync(
            nobody, HttpMethod.Post, "/v1/host/join", JsonSerializer.Serialize(new JoinRequest(token, request), ApiJson.Default.JoinRequest));
    }

    [Theory(Timeout = 30_000)]
    [InlineData("""{"host":"a b"}"""), InlineData("""{"host":"10.0.0.1"}"""), InlineData("{}"), InlineData("""{"host":"h","names":[]}"""), InlineData("""{"host":"h","names":["*"]}""")]
    public async Task A_token_for_no_host_is_refused(string spec)
    {
        await using var host = await RestHost.StartAsync(AnyPort);
        await host.RefusesAsync(HttpMethod.Post, "/v1/host/join-tokens", spec, 400, ErrorCode.InvalidRequest);
    }

    [Fact]
    public async Task A_token_is_good_once_for_a_quarter_of_an_hour_also_over_a_restart_and_for_one_of_many()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
        using var database = Database.Open(":memory:");
        var store = new JoinTokenStore(database, time);
        var late = store.Create("late", ["late"]).Secret;
        time.Advance(TimeSpan.FromMinutes(15));
        Assert.Null(store.Redeem(late));
        var (secret, expires) = store.Create("h2", ["h2", "192.0.2.8"]);
        Assert.Equal(time.GetUtcNow().AddMinutes(15), expires);
        Assert.Empty(database.Query("SELECT name FROM join_tokens WHERE name = 'late'", row => row.GetString(0)));
        time.Advance(TimeSpan.FromMinutes(15) - TimeSpan.FromMilliseconds(1));
        var won = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => new JoinTokenStore(database, time).Redeem(secret), Token)));
        var one = Assert.Single(won, found => found is not null)!.Value;
        Assert.Equal(("h2", "h2,192.0.2.8"), (one.Host, string.Join(',', one.Names)));
        for (var i = 0; i < 100; i++)
            store.Create("h", ["h"]);
        Assert.Equal(ErrorCode.WrongState, Assert.Throws<GodwitException>(() => store.Create("h", ["h"])).Problem.Code);
    }

    private static async Task<Cli.CliResult> RunAsync(RestHost host, params string[] line)
    {
        using var run = new Cli.CliRun { Variables = new() { ["GODWIT_HOST"] = "unix:" + host.Folders.Socket } };
        return await run.RunAsync(line);
    }
}
