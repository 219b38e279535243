using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Tests.ControlPlane;
using Godwit.Host;
using Godwit.Host.Certificates;
using Godwit.Host.Http;
using Godwit.Host.VirtualMachines;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>The real web application on a real unix socket, over fake VMs, workers and files, on the real clock.</summary>
internal sealed class RestHost : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-rest-").FullName;
    private readonly WebApplication _app;

    private RestHost(System.Net.IPEndPoint? listen, RequestRates rates, TimeProvider authorityTime)
    {
        Options = new DaemonOptions { State = Path.Combine(_folder, "s"), Run = Path.Combine(_folder, "r"), Listen = listen, Rates = rates };
        Folders = new HostFolders(Options.State, Options.Run);
        Folders.Prepare();
        if (listen is not null)
            Authority = new HostCertificates(Folders, authorityTime).Initialize(["127.0.0.1", "localhost"]).AuthorityFingerprint;
        _app = HostApplication.Build(Options, Folders, Fakes.Database, Fakes.Parts, Accelerators, TimeProvider.System);
        Client = Connect();
    }

    public FakeHost Fakes { get; } = new();

    public DaemonOptions Options { get; }

    public HostFolders Folders { get; }

    public IAcceleratorChoice Accelerators { get; } = new FakeAccelerators();

    public HttpClient Client { get; }

    public JobRunner Jobs => _app.Services.GetRequiredService<JobRunner>();

    public WebApplication App => _app;

    public static async Task<RestHost> StartAsync(System.Net.IPEndPoint? listen = null, RequestRates? rates = null, TimeProvider? authorityTime = null)
    {
        var host = new RestHost(listen, rates ?? RequestRates.Default, authorityTime ?? TimeProvider.System);
        await host._app.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    public HttpClient Connect() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, token) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Folders.Socket), token);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    {
        BaseAddress = new Uri("http://godwit"),
    };

    /// <summary>Fingerprint of the host's authority; empty when it does not listen.</summary>
    public string Authority { get; } = "";

    /// <summary>A client over the network; with a token, or as nobody.</summary>
    /// <param name="secret">The token's.</param>
    /// <param name="tls">How to connect, beyond the usual.</param>
    public HttpClient ConnectRemote(string? secret = null, Action<SslClientAuthenticationOptions>? tls = null)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(Path.Combine(Folders.Certificates, "ca-cert.pem"));
        var handler = new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy } };
        tls?.Invoke(handler.SslOptions);
        var client = new HttpClient(handler) { BaseAddress = RemoteAddress };
        if (secret is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", secret);
        return client;
    }

    public Uri RemoteAddress => new(App.Urls.Single(url => url.Contains("127.0.0.1", StringComparison.Ordinal)));

    /// <summary>A new token's secret.</summary>
    public string NewToken(string name, Role role, long? lifetimeSeconds = null) =>
        App.Services.GetRequiredService<TokenStore>().Create(new AccessTokenSpec(name, role, lifetimeSeconds)).Secret;

    public Task<(int Status, JsonElement Body)> SendAsync(HttpMethod method, string path, string? body = null) =>
        SendAsync(Client, method, path, body);

    public static async Task<(int Status, JsonElement Body)> SendAsync(HttpClient client, HttpMethod method, string path, string? body = null)
    {
        var token = TestContext.Current.CancellationToken;
        using var request = new HttpRequestMessage(method, path);
        // Else a refusal of a large body races with the sending of it.
        request.Headers.ExpectContinue = body?.Length > 100_000;
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        using var response = await client.SendAsync(request, token);
        var text = await response.Content.ReadAsStringAsync(token);
        if ((int)response.StatusCode >= 400)
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return ((int)response.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
    }

    public Task<(int Status, JsonElement Body)> GetAsync(string path) => SendAsync(HttpMethod.Get, path);

    public Task<(int Status, JsonElement Body)> PostAsync(string path, string? body = null) => SendAsync(HttpMethod.Post, path, body);

    public async Task RefusesAsync(HttpMethod method, string path, string? body, int status, ErrorCode code)
    {
        var answer = await SendAsync(method, path, body);
        Assert.True(status == answer.Status && answer.Body.GetProperty("code").GetString() == code.ToString(), $"{method} {path}: {answer}");
        Assert.NotEqual("", answer.Body.GetProperty("title").GetString());
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync(TestContext.Current.CancellationToken);
        await _app.DisposeAsync();
        await Fakes.DisposeAsync();
        Directory.Delete(_folder, true);
    }

    private sealed class FakeAccelerators : IAcceleratorChoice
    {
        public Task<(string? Accelerator, string? Reason)> DescribeAsync(CancellationToken cancellationToken) =>
            Task.FromResult<(string?, string?)>(("tcg", "no KVM here"));
    }
}
